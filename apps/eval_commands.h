// The commands of vqeval. Each takes its arguments without the command's name and returns the exit code.
#pragma once

#include <string>
#include <vector>

namespace vqcodec::apps {

int run_eval_sdr(const std::vector<std::string>& arguments);
int run_eval_rate(const std::vector<std::string>& arguments);
int run_eval_speed(const std::vector<std::string>& arguments);
int run_eval_codes(const std::vector<std::string>& arguments);
int run_eval_hard(const std::vector<std::string>& arguments);
int run_eval_curves(const std::vector<std::string>& arguments);
int run_eval_fit(const std::vector<std::string>& arguments);
int run_eval_report(const std::vector<std::string>& arguments);

}  // namespace vqcodec::apps
