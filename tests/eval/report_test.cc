#include "eval/report.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/json_output.h"
#include "eval/svg_plot.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"
#include "tests/eval/well_formed.h"

namespace vqcodec::eval {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

Json header(const std::string& kind) {
  Json json = report_header(kind, "0.1.0", "vqeval " + kind + " --data \"<songs>\" & more");
  json["model"] = {{"id", std::string(64, 'a')}, {"name", "<b>model</b>"}, {"file", "m.safetensors"}};
  json["data"] = "songs";
  json["left_out"] = {{{"track", "<i>quiet</i>"}, {"source", "bass"}, {"why", "silent & empty"}}};
  json["plots"] = {{{"title", "A <plot>"}, {"file", kind + ".svg"}}};
  return json;
}

Json codes() {
  Json json = header("codes");
  json["settings"] = {{"seed", 1}, {"folds_by", "track"}};
  json["sources"] = {{{"name", "vocals"}, {"tracks", 1}, {"excerpts", 2}, {"frames", 30}, {"points", 4}},
                     {{"name", "bass"}, {"tracks", 1}, {"excerpts", 2}, {"frames", 30}, {"points", 4}}};
  for (const char* note :
       {"own_slot", "tables_alone", "all_slots", "decoded_spectrum", "original_spectrum", "tables"}) {
    json["notes"][note] = std::string("what ") + note + " is";
  }
  Json score = {{"vectors", "own_slot"}, {"codebook", "all"},       {"dims", 8},
                {"silhouette", -0.25},   {"probe_accuracy", 0.625}, {"probe_balanced_accuracy", nullptr},
                {"chance", 0.5}};
  json["scores"] = {score};
  score["codebook"] = 2;
  json["scores"].push_back(score);
  json["slot_accuracy"] = 0.75;
  json["loudest_slot"] = {{0.9, 0.1}, {0.4, 0.6}};
  json["swapped"] = {{"si_sdr_db", {{1.25, -40}, {nullptr, 2}}}, {"sdr_db", {{1, -2}, {-3, 4}}}};
  for (const char* source : {"vocals", "bass"}) {
    json["codebook_use"].push_back({{"source", source},
                                    {"codebook", 1},
                                    {"codes", 9},
                                    {"size", 32},
                                    {"used", 8},
                                    {"share", 0.25},
                                    {"perplexity", 7.5}});
  }
  json["remarks"] = {"a remark <of> note"};
  return json;
}

Json sdr() {
  Json json = header("sdr");
  json["settings"] = {{"bss_eval", "version 4"}, {"max_seconds", 12.0}, {"skip_silent_sources", false}};
  json["sources"] = {"vocals", "bass"};
  const auto scores = [](const Json& value, int num_tracks) {
    return Json{{"sdr", value},
                {"whole_sdr_mean", value},
                {"num_tracks", {{"sdr", num_tracks}, {"whole_sdr", num_tracks}}}};
  };
  json["rows"] = {{{"id", "estimate"},
                   {"sources", {{"vocals", scores(1.25, 3)}, {"bass", scores(-0.001, 2)}}},
                   {"average", {{"sdr", 0.6245}, {"whole_sdr_mean", 0.6245}}},
                   {"mixture", {{"whole_sdr_mean", 7.5}, {"num_tracks", {{"whole_sdr", 3}}}}}},
                  {{"id", "silence"},
                   {"sources", {{"vocals", scores(nullptr, 3)}}},
                   {"average", {{"whole_sdr_mean", nullptr}}}}};
  json["published"] = {
      {{"id", "a"}, {"name", "A & B"}, {"data", "their songs"}, {"sources", {{"vocals", 1.27}}}, {"average", 1.311}}};
  json["tracks"] = {
      {{"track", "one"},
       {"seconds", 10.5},
       {"num_windows", 10},
       {"rows", {{"estimate", {{"sources", {{"vocals", {{"sdr", 2}}}, {"bass", {{"windowed_sdr", 3}}}}}}}}}}};
  json["left_out"] = {{{"track", "one"}, {"source", "bass"}, {"window", "3-4"}, {"why", "silent"}}};
  return json;
}

Json distances_of(double value) {
  return {{"mel", value}, {"mel_two_scales", nullptr}, {"log_spectral_db", 10 * value}, {"si_sdr_db", -value}};
}

Json rate() {
  Json json = header("rate");
  json["sources"] = {"vocals", "bass"};
  Json parts = Json::array();
  for (const char* source : {"vocals", "bass"}) {
    parts.push_back(
        {{"name", source},
         {"kbit_per_second", 0.5},
         {"checksum_bytes", 8},
         {"gain_bytes", 3},
         {"code_bytes", 500},
         {"coders",
          {{"raw_bytes", 1000}, {"zstd_packed_bytes", 900}, {"zstd_words_bytes", 950}, {"adaptive_bytes", 500}}},
         {"codebooks", {{{"bytes", 250}, {"raw_bytes", 500}, {"kbit_per_second", 0.25}}}}});
  }
  Json level = {{"num_codebooks", 1},
                {"bytes", 1250},
                {"kbit_per_second", 1.25},
                {"file",
                 {{"header_bytes", 50},
                  {"metadata_bytes", 60},
                  {"segment_head_bytes", 70},
                  {"index_bytes", 80},
                  {"sources", parts}}},
                {"mixture", distances_of(0.5)},
                {"sources", {distances_of(0.75), distances_of(1)}}};
  Json opus = {{"bitrate_bps", 6000}, {"kbit_per_second", 6.5}, {"mixture", distances_of(0.25)}};
  json["summary"] = {
      {"num_tracks", 1}, {"seconds", 8}, {"levels", {level}}, {"opus", {opus}}, {"opus_stems", Json::array()}};
  json["summary"]["matched"] = {{{"num_codebooks", 1},
                                 {"kbit_per_second", 1.25},
                                 {"mixture", distances_of(0.5)},
                                 {"opus", {{"interpolated", {{"mixture", distances_of(0.125)}}}}}}};
  json["visqol"] = {{"package", "port 1.2"},
                    {"excerpt_seconds", 10},
                    {"levels", {{{"num_codebooks", 1}, {"mos_lqo", 1.234}}}},
                    {"opus", {{{"bitrate_bps", 12000}, {"mos_lqo", 3.456}}}}};
  json["tracks"] = {{{"name", "one"}, {"remarks", {"vocals.wav: mono"}}}};
  json["left_out"] = {{{"track", "two"}, {"what", "SI-SDR"}, {"why", "silent"}}};
  return json;
}

Json speed() {
  Json json = header("speed");
  json["machine"] = {{"cpu", "A <fast> one"}, {"num_cpus", 2}, {"kernels", "plain"}};
  json["measures"] = {
      {{"name", "encode.whole"}, {"threads", 2}, {"unit", "x real time"}, {"median", 12.34}, {"min", 11}, {"max", 13}},
      {{"name", "start"}, {"unit", "ms"}, {"median", 50}, {"min", 50}, {"max", nullptr}}};
  json["ratios"] = {
      {{"name", "encode.whole"}, {"threads", 2}, {"to", "opusenc.whole"}, {"median", 1.5}, {"min", 1.4}, {"max", 1.6}}};
  json["bytes"] = {{"vqc", 1000}, {"codes", 2000}, {"zstd19", 1500}, {"opus", nullptr}};
  json["compared_with"] = "old.json";
  json["compare"] = {{{"name", "encode.whole"},
                      {"threads", 2},
                      {"unit", "x real time"},
                      {"old", 10},
                      {"new", 12.34},
                      {"ratio", 1.234}}};
  return json;
}

class MakeReport : public testing::Test {
 protected:
  void write(const Json& json) {
    const std::string kind = json["kind"];
    write_bytes(dir_ / (kind + ".json"), json.dump());
    Panel panel{.title = "p", .x_label = "x", .y_label = "y", .series = {}};
    panel.series.push_back({.name = "s", .points = {{0, 0}, {1, 1}}});
    write_bytes(dir_ / (kind + ".svg"), svg_plot({panel}));
  }
  void write_example(const std::string& path, const std::string& bytes) {
    const std::filesystem::path file = dir_ / ("examples/" + path);
    std::filesystem::create_directories(file.parent_path());
    write_bytes(file, bytes);
  }
  Report report(const ReportOptions& options = {}) { return make_report(dir_.path(), options); }

  TempDir dir_;
};

TEST_F(MakeReport, ShowsEveryPartWellFormed) {
  for (const Json& json : {sdr(), rate(), speed(), codes()}) write(json);
  write_example("Song/original/mixture.flac", "abc");
  write_example("Song/decoded/mixture.flac", "abcd");
  const Report page = report();
  EXPECT_THAT(page.missing, testing::IsEmpty());
  EXPECT_THAT(page.html, Not(HasSubstr("class=\"missing\"")));
  EXPECT_EQ(malformation(page.html), "");
  EXPECT_THAT(page.html,
              AllOf(HasSubstr("vqeval codes --data &quot;&lt;songs&gt;&quot; &amp; more"),
                    HasSubstr("<dd>&lt;b&gt;model&lt;/b&gt;, m.safetensors, <code>aaaaaaaaaaaaaaaa</code></dd>"),
                    HasSubstr("<dt>Data</dt><dd>songs</dd>"),
                    HasSubstr("<dt>Settings</dt><dd>seed 1, folds by track</dd>"),
                    HasSubstr("<figcaption>A &lt;plot&gt;</figcaption>"), HasSubstr("<polyline ")));
  EXPECT_THAT(page.html, AllOf(Not(HasSubstr("<b>")), Not(HasSubstr("<i>")), Not(HasSubstr("<script")),
                               Not(HasSubstr("http://a"))));
}

TEST_F(MakeReport, LoadsNothing) {
  write(codes());
  write_example("Song/original/mixture.flac", "abc");
  const std::string html = report().html;
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  for (const std::string attribute : {" src=\"", " href=\"", "url("}) {
    for (size_t at = html.find(attribute); at != std::string::npos; at = html.find(attribute, at + 1)) {
      const std::string target = html.substr(at + attribute.size(), 5);
      EXPECT_TRUE(target == "data:" || target[0] == '#') << html.substr(at, 60);
    }
  }
}

TEST_F(MakeReport, TablesOfCodes) {
  write(codes());
  const std::string html = report().html;
  EXPECT_THAT(
      html,
      AllOf(HasSubstr("<th scope=\"row\">own slot</th><td>all</td><td>8</td><td>\xE2\x88\x92"
                      "0.250</td><td>62.5</td><td>\xE2\x80\x93</td><td>50.0</td>"),
            HasSubstr("<summary>Each codebook</summary>"), HasSubstr("the own slot in 75.0 % of all"),
            HasSubstr("<th scope=\"row\">bass</th><td>40.0</td><td>60.0</td>"),
            HasSubstr("<th scope=\"row\">bass</th><td>\xE2\x80\x93</td><td>2.0</td>"),
            HasSubstr("<th scope=\"row\">1</th><td>25.0 (7.5)</td><td>25.0 (7.5)</td>"),
            HasSubstr("a remark &lt;of&gt; note"), HasSubstr("Left out, and remarks: 1</summary>"),
            HasSubstr("<th scope=\"row\" class=\"long\">&lt;i&gt;quiet&lt;/i&gt;</th><td class=\"words\">bass</td>")));
}

TEST_F(MakeReport, TablesOfSdr) {
  write(sdr());
  const std::string html = report().html;
  const std::string minus = "\xE2\x88\x92", dash = "\xE2\x80\x93";
  EXPECT_THAT(html, AllOf(HasSubstr("<dd>bss eval version 4, max seconds 12, skip silent sources no</dd>"),
                          // No minus before zeros; fewer tracks for one source.
                          HasSubstr("<th scope=\"row\" class=\"long\">model "
                                    "&lt;b&gt;model&lt;/b&gt;</th><td>1.25</td><td>0.00</td><td>0.62</td><td>2" +
                                    dash + "3</td>"),
                          HasSubstr("<th scope=\"row\" class=\"long\">A &amp; B (their songs)</th><td>1.27</td><td>" +
                                    dash + "</td><td>1.31</td><td></td>"),
                          HasSubstr("<td>0.62</td><td>7.50</td><td>2" + dash + "3</td>"),
                          HasSubstr("<th scope=\"row\">silence</th><td>" + dash + "</td><td>" + dash + "</td><td>" +
                                    dash + "</td><td></td><td>3</td>"),
                          HasSubstr("<th scope=\"row\">one</th><td>10.5</td><td>10</td><td>2.00</td><td>3.00 *</td>"),
                          HasSubstr("<td class=\"words\">seconds 3-4</td><td class=\"words\">silent</td>")));
}

TEST_F(MakeReport, TablesOfRate) {
  write(rate());
  const std::string html = report().html;
  const std::string minus = "\xE2\x88\x92", dash = "\xE2\x80\x93";
  EXPECT_THAT(
      html,
      AllOf(
          HasSubstr("1 track, 8 s."),
          HasSubstr(
              "<th scope=\"row\">1</th><td>1.25</td><td>2.00</td><td>1.80</td><td>1.90</td><td>1.00</td><td>0.50</td>"),
          HasSubstr("<th scope=\"row\">vqcodec</th><td class=\"words\">1 codebook</td><td>1.25</td><td>0.500</td><td>" +
                    dash + "</td><td>5.00</td><td>" + minus + "0.50</td>"),
          HasSubstr("<th scope=\"row\">Opus</th><td class=\"words\"></td><td>1.25</td><td>0.125</td>"),
          HasSubstr("<td class=\"words\">6 kbit/s asked</td><td>6.50</td><td>0.250</td>"),
          HasSubstr("<th scope=\"row\">vocals, codes</th><td>500</td><td>0.500</td><td>40.00</td>"),
          HasSubstr("<th scope=\"row\">1</th><td>0.25 (50)</td><td>0.25 (50)</td>"),
          HasSubstr("<td class=\"words\">SI-SDR</td>"), HasSubstr("by port 1.2 (1 to"),
          HasSubstr("<td class=\"words\">12 kbit/s asked</td><td>3.46</td>"), HasSubstr("vocals.wav: mono")));
  // The parts that are named make up the file.
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">all</th><td>1250</td><td>1.250</td><td>100.00</td>"));
  Json json = rate();
  json["summary"] = {{"num_tracks", 0}};
  write(json);
  EXPECT_THAT(report().html, HasSubstr("No track could be measured."));
}

TEST_F(MakeReport, TablesOfSpeed) {
  write(speed());
  const std::string html = report().html;
  EXPECT_THAT(html, AllOf(HasSubstr("A &lt;fast&gt; one, 2 CPUs, plain."),
                          HasSubstr("<th scope=\"row\">encode: whole</th><td class=\"words\">x real "
                                    "time</td><td>2</td><td>12.3</td><td>11.0</td>"),
                          HasSubstr("<th scope=\"row\">start</th><td "
                                    "class=\"words\">ms</td><td></td><td>50.0</td><td>50.0</td><td>\xE2\x80\x93</td>"),
                          HasSubstr("<td class=\"words\">opusenc: whole</td><td>2</td><td>1.50</td>"),
                          HasSubstr("Against old.json"),
                          HasSubstr("<td>10.0</td><td>12.3</td><td>1.234</td><td>\xE2\x80\x93</td>"),
                          HasSubstr("<th scope=\"row\">Opus</th><td>\xE2\x80\x93</td>")));
}

TEST_F(MakeReport, SaysWhatIsMissing) {
  write(codes());
  const Report page = report();
  for (const char* file : {"sdr.json", "rate.json", "speed.json", "examples/"}) {
    EXPECT_THAT(page.missing, Contains(HasSubstr(file)));
    EXPECT_THAT(page.html, HasSubstr(std::string("<p class=\"missing\">") + file));
  }
  EXPECT_THAT(page.missing, Not(Contains(HasSubstr("codes.json"))));
}

TEST_F(MakeReport, SaysWhenPartsAreOfUnlikeModels) {
  write(sdr());
  write(codes());
  EXPECT_THAT(report().missing, Not(Contains(HasSubstr("another model"))));
  Json json = codes();
  json["model"]["id"] = std::string(64, 'b');
  write(json);
  EXPECT_THAT(report().missing, Contains("codes.json is of another model than the parts above"));
}

TEST_F(MakeReport, RefusesAFolderWithoutAnything) {
  EXPECT_ERROR(report(), ExitCode::kIo, HasSubstr("holds nothing to show"));
  EXPECT_ERROR(make_report(dir_ / "nowhere"), ExitCode::kIo, HasSubstr("no such folder"));
}

TEST_F(MakeReport, NamesFileAndFieldOfWhatItCannotRead) {
  const auto fails = [&](const Json& json, const std::string& says) {
    write_bytes(dir_ / "codes.json", json.dump());
    EXPECT_ERROR(report(), ExitCode::kBadFile, AllOf(HasSubstr("codes.json: "), HasSubstr(says)));
  };
  write(codes());
  fails({{"kind", "other"}}, "kind: found \"other\", expected \"codes\"");
  fails(Json::array(), "found a list, expected an object");
  fails(Json::object(), "kind: is missing");
  Json json = codes();
  json["scores"][1].erase("chance");
  fails(json, "scores[1].chance: is missing");
  json = codes();
  json["scores"][0]["silhouette"] = "high";
  fails(json, "scores[0].silhouette: found a text, expected a number or null");
  json = codes();
  json["loudest_slot"] = {1, 2};
  fails(json, "loudest_slot: found a list, expected rows of numbers");
  json = codes();
  json["plots"][0]["file"] = "../secret.svg";
  fails(json, "plots[0].file: found \"../secret.svg\"");
  json["plots"][0]["file"] = "gone.svg";
  write_bytes(dir_ / "codes.json", json.dump());
  EXPECT_ERROR(report(), ExitCode::kIo, HasSubstr("gone.svg: cannot be read"));
  write_bytes(dir_ / "codes.json", "{\"kind\": ");
  EXPECT_ERROR(report(), ExitCode::kBadFile, HasSubstr("codes.json: is not JSON"));
}

TEST_F(MakeReport, RefusesPlotsThatAreMore) {
  write(codes());
  write_bytes(dir_ / "codes.svg", "<svg><script>alert(1)</script></svg>");
  EXPECT_ERROR(report(), ExitCode::kBadFile, HasSubstr("codes.svg: "));
}

TEST_F(MakeReport, SetsOriginalBesideDecoded) {
  write_example("B & c/original/bass.wav", "foo");
  write_example("B & c/decoded/bass.wav", "foobar");
  write_example("B & c/decoded/flute.opus", "fo");
  write_example("B & c/decoded/notes.txt", "not audio");
  write_example("B & c/about.txt", "5 s from <0:10>\n");
  const std::string html = report().html;
  EXPECT_EQ(malformation(html), "");
  EXPECT_THAT(html, AllOf(HasSubstr("<h3>B &amp; c</h3>"), HasSubstr("5 s from &lt;0:10&gt;"),
                          HasSubstr("aria-label=\"B &amp; c, bass, original\""),
                          HasSubstr("src=\"data:audio/wav;base64,Zm9v\""),
                          HasSubstr("aria-label=\"B &amp; c, bass, decoded\""),
                          HasSubstr("src=\"data:audio/wav;base64,Zm9vYmFy\""), HasSubstr("original: no file"),
                          HasSubstr("src=\"data:audio/ogg;base64,Zm8=\""), Not(HasSubstr("<h4>notes"))));
  EXPECT_LT(html.find("Zm9v\""), html.find("Zm9vYmFy"));
}

TEST_F(MakeReport, RefusesExamplesOverTheLimit) {
  write_example("Song/original/bass.wav", std::string(600, 'a'));
  write_example("Song/decoded/bass.wav", std::string(600, 'a'));
  EXPECT_NO_THROW(report({.max_audio_bytes = 1200}));
  EXPECT_ERROR(report({.max_audio_bytes = 1199}), ExitCode::kUsage, HasSubstr("--max-audio-mb"));
}

}  // namespace
}  // namespace vqcodec::eval
