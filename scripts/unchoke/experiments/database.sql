-- The tables of experiments.db.

CREATE TABLE environments (
  environment_id INTEGER PRIMARY KEY,
  facts TEXT NOT NULL UNIQUE  -- JSON: releases, platform, processors, device, commit
);
CREATE TABLE encoders (
  encoder_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  model TEXT NOT NULL,
  trained INTEGER NOT NULL CHECK (trained IN (0, 1)),
  weights_sha256 TEXT NOT NULL,
  image_size_px INTEGER NOT NULL,
  images INTEGER NOT NULL,
  unreadable INTEGER NOT NULL,
  settings TEXT NOT NULL  -- JSON
);
CREATE TABLE heads (
  head_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  pool TEXT NOT NULL,
  settings TEXT NOT NULL,  -- JSON
  UNIQUE (name, settings)
);
CREATE TABLE runs (
  run_id INTEGER PRIMARY KEY,
  encoder_id INTEGER NOT NULL REFERENCES encoders,
  head_id INTEGER NOT NULL REFERENCES heads,
  environment_id INTEGER NOT NULL REFERENCES environments,
  chosen TEXT NOT NULL,  -- JSON: the setting that was best on val
  edges TEXT NOT NULL,  -- JSON: names of the chosen settings that lie at an end of their grid
  warnings TEXT NOT NULL,  -- JSON: what the training warned of
  train_images INTEGER NOT NULL,
  val_images INTEGER NOT NULL,
  test_images INTEGER NOT NULL,
  replicates INTEGER NOT NULL,  -- seeds, or few-shot draws; figures are means over them
  temperatures TEXT,  -- JSON: what the logits of each replicate are divided by, fitted on val; NULL for mask heads
  seconds REAL NOT NULL,
  UNIQUE (encoder_id, head_id)
);
CREATE TABLE metrics (
  run_id INTEGER NOT NULL REFERENCES runs,
  split TEXT NOT NULL CHECK (split IN ('val', 'test')),
  name TEXT NOT NULL,  -- accuracy, balanced_accuracy, macro_f1, auroc, average_precision, ece, log_loss, brier; ece_raw, …: uncalibrated; two classes:
  -- sensitivity_at_specificity and specificity_reached, on test alone, see operating_points
  value REAL,  -- NULL, here and below: cannot be known
  low REAL,  -- 95 % interval
  high REAL,
  sd REAL,  -- over the replicates
  units INTEGER NOT NULL,  -- independent images, or groups of them, that the interval is from
  PRIMARY KEY (run_id, split, name)
);
CREATE TABLE ranking (
  metric TEXT PRIMARY KEY,  -- evaluation.metric: ranks runs by val, and compares them on test
  sign INTEGER NOT NULL CHECK (sign IN (1, -1))  -- -1: the lower, the better
);
CREATE TABLE floors (  -- a head that gives every image the shares of the classes in train, and so says the largest class
  split TEXT NOT NULL CHECK (split IN ('val', 'test')),
  name TEXT NOT NULL,  -- of the figure
  class TEXT NOT NULL,  -- the largest of train
  value REAL,
  PRIMARY KEY (split, name)
);
CREATE TABLE trials (
  run_id INTEGER NOT NULL REFERENCES runs,
  trial INTEGER NOT NULL,
  settings TEXT NOT NULL,  -- JSON: what was tried
  val_score REAL,  -- the figure by which the head was chosen
  PRIMARY KEY (run_id, trial)
);
CREATE TABLE classes (  -- on test
  run_id INTEGER NOT NULL REFERENCES runs,
  class TEXT NOT NULL,
  test_images INTEGER NOT NULL,
  precision REAL,  -- NULL: no replicate predicts the class
  precision_low REAL,  -- 95 % interval, here and below
  precision_high REAL,
  precision_units INTEGER NOT NULL,  -- independent images, or groups, that are taken for the class
  precision_replicates INTEGER NOT NULL,  -- that predict the class: precision is the mean of theirs
  recall REAL,  -- NULL: test has no image of the class
  recall_low REAL,
  recall_high REAL,
  recall_units INTEGER NOT NULL,  -- of the class
  f1 REAL,  -- NULL: test has none of the class, and no replicate predicts it
  f1_low REAL,
  f1_high REAL,
  f1_units INTEGER NOT NULL,  -- of the class, or taken for it
  PRIMARY KEY (run_id, class)
);
CREATE TABLE groups (  -- of test, as the manifest has them; none for images without one
  run_id INTEGER NOT NULL REFERENCES runs,
  name TEXT NOT NULL,
  images INTEGER NOT NULL,
  accuracy REAL NOT NULL,
  low REAL NOT NULL,  -- 95 % interval of further images of the group
  high REAL NOT NULL,
  PRIMARY KEY (run_id, name)
);
CREATE TABLE operating_points (  -- of two classes; its figures are in metrics
  run_id INTEGER PRIMARY KEY REFERENCES runs,
  positive TEXT NOT NULL,  -- class
  specificity REAL NOT NULL,  -- that the threshold gives on val, or more
  margins TEXT NOT NULL,  -- JSON: threshold of each replicate for the positive class's logit less the other's
  val_negatives INTEGER NOT NULL,  -- images that set the threshold
  unknown TEXT  -- why a figure is not known; NULL where all are
);
CREATE TABLE comparisons (
  run_id INTEGER PRIMARY KEY REFERENCES runs,
  best_run_id INTEGER NOT NULL REFERENCES runs,  -- the run whose metric is best on val; see ranking
  images INTEGER NOT NULL,  -- of test, that both predicted
  difference REAL,  -- test metric less that of the best; NULL, here and below: no image in common
  low REAL,  -- 95 % interval
  high REAL,
  p_value REAL,  -- two-sided, of the same Student's t as the interval
  p_adjusted REAL,  -- for the number of runs that are compared (Holm 1979)
  told_apart INTEGER CHECK (told_apart IN (0, 1)),  -- whether p_adjusted is below 0.05
  units INTEGER  -- independent images, or groups of them
);
CREATE TABLE artefacts (
  artefact_id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES runs,
  kind TEXT NOT NULL,
  path TEXT NOT NULL UNIQUE,
  sha256 TEXT NOT NULL
);
CREATE TABLE test_readings (
  reading_id INTEGER PRIMARY KEY,
  read_at TEXT,  -- UTC; NULL, here and below: the line of readings.jsonl is damaged
  user TEXT,
  host TEXT,
  command TEXT NOT NULL  -- that showed figures of test, or computed them anew
);
CREATE VIEW leaderboard AS
SELECT
  encoders.name AS encoder,
  heads.name AS head,
  heads.kind AS kind,
  heads.pool AS pool,
  CASE encoders.trained WHEN 1 THEN 'trained' ELSE 'untrained' END AS weights,
  runs.chosen AS chosen,
  runs.edges AS edges,
  runs.warnings AS warnings,
  (SELECT count(*) FROM trials WHERE trials.run_id = runs.run_id) AS trials,
  ranking.metric AS metric,
  val.value AS val,  -- here and below: of the metric that ranks
  test.value AS test,
  test.low AS test_low,
  test.high AS test_high,
  test.sd AS test_sd,
  test.units AS test_units,
  runs.replicates AS replicates,
  val_accuracy.value AS val_accuracy,
  accuracy.value AS test_accuracy,
  balanced.value AS test_balanced_accuracy,
  f1.value AS test_macro_f1,
  auroc.value AS test_auroc,
  precision.value AS test_average_precision,
  ece.value AS test_ece,
  log_loss.value AS test_log_loss,
  brier.value AS test_brier,
  comparisons.best_run_id = runs.run_id AS is_best,
  comparisons.difference AS difference,
  comparisons.low AS difference_low,
  comparisons.high AS difference_high,
  comparisons.p_value AS p_value,
  comparisons.p_adjusted AS p_adjusted,
  comparisons.told_apart AS told_apart,
  runs.test_images AS test_images,
  runs.seconds AS seconds,
  operating_points.positive AS positive,  -- NULL, here and below: nothing was asked of two classes
  operating_points.specificity AS asked_specificity,
  sensitivity.value AS test_sensitivity,
  sensitivity.low AS test_sensitivity_low,
  sensitivity.high AS test_sensitivity_high,
  reached.value AS test_specificity,
  reached.low AS test_specificity_low,
  reached.high AS test_specificity_high,
  operating_points.val_negatives AS val_negatives,
  operating_points.unknown AS unknown
FROM runs
JOIN encoders USING (encoder_id)
JOIN heads USING (head_id)
JOIN comparisons USING (run_id)
JOIN ranking
JOIN metrics AS val ON val.run_id = runs.run_id AND val.split = 'val' AND val.name = ranking.metric
JOIN metrics AS test ON test.run_id = runs.run_id AND test.split = 'test' AND test.name = ranking.metric
JOIN metrics AS val_accuracy
  ON val_accuracy.run_id = runs.run_id AND val_accuracy.split = 'val' AND val_accuracy.name = 'accuracy'
JOIN metrics AS accuracy ON accuracy.run_id = runs.run_id AND accuracy.split = 'test' AND accuracy.name = 'accuracy'
JOIN metrics AS balanced
  ON balanced.run_id = runs.run_id AND balanced.split = 'test' AND balanced.name = 'balanced_accuracy'
JOIN metrics AS f1 ON f1.run_id = runs.run_id AND f1.split = 'test' AND f1.name = 'macro_f1'
JOIN metrics AS auroc ON auroc.run_id = runs.run_id AND auroc.split = 'test' AND auroc.name = 'auroc'
JOIN metrics AS precision
  ON precision.run_id = runs.run_id AND precision.split = 'test' AND precision.name = 'average_precision'
JOIN metrics AS ece ON ece.run_id = runs.run_id AND ece.split = 'test' AND ece.name = 'ece'
JOIN metrics AS log_loss
  ON log_loss.run_id = runs.run_id AND log_loss.split = 'test' AND log_loss.name = 'log_loss'
JOIN metrics AS brier ON brier.run_id = runs.run_id AND brier.split = 'test' AND brier.name = 'brier'
LEFT JOIN operating_points ON operating_points.run_id = runs.run_id
LEFT JOIN metrics AS sensitivity
  ON sensitivity.run_id = runs.run_id AND sensitivity.split = 'test'
  AND sensitivity.name = 'sensitivity_at_specificity'
LEFT JOIN metrics AS reached
  ON reached.run_id = runs.run_id AND reached.split = 'test' AND reached.name = 'specificity_reached'
ORDER BY ranking.sign * val.value DESC, encoders.name, heads.name;
