// The commands of vqdata. Each takes its arguments without the command's name and returns the exit code.
#pragma once

#include <string>
#include <vector>

namespace vqcodec::apps {

int run_data_check(const std::vector<std::string>& arguments);
int run_data_compare(const std::vector<std::string>& arguments);
int run_data_compose(const std::vector<std::string>& arguments);
int run_data_layouts(const std::vector<std::string>& arguments);
int run_data_render(const std::vector<std::string>& arguments);
int run_data_make(const std::vector<std::string>& arguments);
int run_data_pack(const std::vector<std::string>& arguments);
int run_data_sing(const std::vector<std::string>& arguments);

}  // namespace vqcodec::apps
