#pragma once

#include "txtsum/config/checkpoint_config.h"
#include "txtsum/config/data_config.h"
#include "txtsum/config/field.h"
#include "txtsum/config/generation_config.h"
#include "txtsum/config/metrics_config.h"
#include "txtsum/config/model_config.h"
#include "txtsum/config/optimizer_config.h"
#include "txtsum/config/parallel_config.h"
#include "txtsum/config/report_config.h"
#include "txtsum/config/resources_config.h"
#include "txtsum/config/run_config.h"
#include "txtsum/config/schedule_config.h"
#include "txtsum/config/test_config.h"
#include "txtsum/config/train_config.h"
#include "txtsum/config/validation_config.h"

namespace txtsum::config {

/// A whole experiment; included by layers config and app only.
struct ExperimentConfig {
  RunConfig run;
  ModelConfig model;
  DataConfig data;
  TrainConfig train;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  ParallelConfig parallel;
  ValidationConfig validation;
  CheckpointConfig checkpoint;
  EarlyStoppingConfig early_stopping;
  TestConfig test;
  GenerationConfig generation;
  MetricsConfig metrics;
  ResourcesConfig resources;
  ReportConfig report;

  /// Visits every section and field once, in this order.
  void describe(FieldVisitor& visitor);
  /// Sets the defaults that depend on other keys.
  void complete();
  /// Checks everything that involves more than one field; ranges and types are the loader's.
  void check(Complaints& complaints) const;
};

}  // namespace txtsum::config
