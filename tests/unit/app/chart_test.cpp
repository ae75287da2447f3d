#include "txtsum/app/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <regex>

namespace txtsum::tests {
namespace {

using app::linear_ticks;
using app::logarithmic_ticks;
using app::Tick;
using app::TradeOffPoint;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> labels(const std::vector<Tick>& ticks) {
  std::vector<std::string> names;
  for (const Tick& tick : ticks) names.push_back(tick.label);
  return names;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++found;
  return found;
}

/// All numbers of an attribute, such as cx.
std::vector<double> attributes(const std::string& svg, const std::string& name) {
  std::vector<double> values;
  const std::regex pattern(" " + name + "=\"(-?[0-9.]+)\"");
  for (std::sregex_iterator at(svg.begin(), svg.end(), pattern), end; at != end; ++at) {
    values.push_back(std::stod((*at)[1]));
  }
  return values;
}

TEST(Chart, TicksAreRoundNumbersWithinTheRange) {
  EXPECT_THAT(labels(linear_ticks(0, 10, 5)), ElementsAre("0", "2", "4", "6", "8", "10"));
  EXPECT_THAT(labels(linear_ticks(36.9, 40.2, 5)), ElementsAre("37.0", "37.5", "38.0", "38.5", "39.0", "39.5", "40.0"));
  EXPECT_THAT(labels(linear_ticks(0, 5e-5, 5)), ElementsAre("0", "1e-5", "2e-5", "3e-5", "4e-5", "5e-5"));
  EXPECT_THAT(labels(linear_ticks(-1, 1, 4)), ElementsAre("-1.0", "-0.5", "0", "0.5", "1.0"));
  EXPECT_THAT(labels(linear_ticks(0, 12000, 5)),
              ElementsAre("0", "2,000", "4,000", "6,000", "8,000", "10,000", "12,000"));
}

TEST(Chart, LogarithmicTicksThinOutOverManyPowers) {
  EXPECT_THAT(labels(logarithmic_ticks(8, 120)), ElementsAre("10", "20", "50", "100"));
  EXPECT_THAT(labels(logarithmic_ticks(0.01, 1000)), ElementsAre("0.01", "0.1", "1", "10", "100", "1,000"));
}

TEST(Chart, ALineGoesFromTheFirstPointToTheLastWithinTheFrame) {
  const std::string svg = app::line_chart("s", {"x"}, {"y"}, {{0, {{0, 5}, {10, 1}, {20, 3}}, true, 1}});
  EXPECT_EQ(count(svg, "<circle"), 3u);
  EXPECT_EQ(count(svg, "class=\"dot c0\""), 1u);
  const std::vector<double> x = attributes(svg, "cx"), y = attributes(svg, "cy");
  EXPECT_LT(x[0], x[1]);
  EXPECT_NEAR(x[1] - x[0], x[2] - x[1], 0.11);
  EXPECT_LT(y[0], y[2]);  // larger values lie higher
  EXPECT_LT(y[2], y[1]);
  for (const double place : y) EXPECT_TRUE(place > 0 && place < 236);
}

TEST(Chart, ValuesThatAreNoNumbersAreLeftOut) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const std::string svg =
      app::line_chart("s", {"x"}, {"y"}, {{0, {{0, 1}, {1, nan}, {2, infinity}, {3, 2}}, true, {}}});
  EXPECT_EQ(count(svg, "<circle"), 2u);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(Chart, AChartOfNothingSaysSo) {
  EXPECT_THAT(app::line_chart("s", {"x"}, {"y"}, {}), HasSubstr("nothing was recorded"));
  EXPECT_THAT(app::histogram("s", {"x"}, "n", {{0, {}}}, {}), HasSubstr("nothing was recorded"));
  EXPECT_THAT(app::trade_off_chart("s", {"x"}, {"y"}, {}), HasSubstr("nothing was recorded"));
}

TEST(Chart, EveryTextIsEscaped) {
  const std::string evil = "<b>&\"";
  const std::vector<std::string> charts{
      app::line_chart(evil, {evil}, {evil}, {{0, {{0, 1}, {1, 2}}, false, {}}}),
      app::histogram(evil, {evil}, evil, {{0, {1, 2, 3}}}, std::pair{2.0, evil}),
      app::interval_chart(evil, {evil}, {{evil, 0, 1, 2, 3}}),
      app::trade_off_chart(evil, {evil}, {evil}, {{evil, 0, 1, 1, 2, 3}, {evil, 1, 2, 2, 3, 4}}),
      app::share_bars(evil, {evil, evil}, {{evil, {1, 1}}})};
  for (const std::string& svg : charts) {
    EXPECT_THAT(svg, Not(HasSubstr(evil)));
    EXPECT_THAT(svg, HasSubstr("&lt;b&gt;&amp;&quot;"));
  }
}

TEST(Chart, TheFrontHoldsWhatNoOtherBeats) {
  const auto point = [](double cost, double score) { return TradeOffPoint{"p", 0, cost, score, score, score}; };
  EXPECT_THAT(app::pareto_front({point(5, 40), point(1, 30), point(3, 35), point(4, 34), point(3, 33)}),
              ElementsAre(1, 2, 0));
  EXPECT_THAT(app::pareto_front({point(1, 30), point(1, 30)}), ElementsAre(0, 1));  // neither beats its equal
  EXPECT_THAT(app::pareto_front({point(2, 30), point(1, 30)}), ElementsAre(1));
}

TEST(Chart, CheaperLiesToTheLeftOnALogarithmicAxisToo) {
  const std::vector<TradeOffPoint> points{{"a", 0, 1, 30, 31, 32}, {"b", 1, 10, 33, 34, 35}, {"c", 2, 100, 35, 36, 37}};
  const std::string svg = app::trade_off_chart("s", {"Wh", false, true}, {"ROUGE"}, points);
  const std::vector<double> x = attributes(svg, "cx");
  ASSERT_EQ(x.size(), 3u);
  EXPECT_NEAR(x[1] - x[0], x[2] - x[1], 0.11);
  EXPECT_THAT(svg, HasSubstr("class=\"front\""));
  for (const char* label : {">a<", ">b<", ">c<"}) EXPECT_THAT(svg, HasSubstr(label));
}

TEST(Chart, AHistogramCountsEveryValueOnceAndSaysWhatLiesFarBeyond) {
  app::HistogramSeries series{0, {}};
  for (int i = 0; i < 1000; ++i) series.values.push_back(100 + i % 50);
  EXPECT_THAT(app::histogram("s", {"tokens"}, "n", {series}, {}), Not(HasSubstr("beyond")));
  series.values.push_back(9000);
  EXPECT_THAT(app::histogram("s", {"tokens"}, "n", {series}, {}), HasSubstr("1 beyond, up to 9,000"));
}

TEST(Chart, SharesFillTheBar) {
  const std::string svg = app::share_bars("s", {"load", "train"}, {{"Time", {1, 3}}});
  const std::vector<double> widths = attributes(svg, "width");
  ASSERT_EQ(widths.size(), 2u);
  EXPECT_NEAR(widths[0], 100, 0.1);
  EXPECT_NEAR(widths[1], 300, 0.1);
  EXPECT_THAT(svg, HasSubstr("train 75 %"));
}

}  // namespace
}  // namespace txtsum::tests
