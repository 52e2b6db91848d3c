-- The tables of experiments.db, and the leaderboard. A table of one kind of task is empty where heads do another.

CREATE TABLE environments (
  environment_id INTEGER PRIMARY KEY,
  facts TEXT NOT NULL UNIQUE  -- JSON: releases, platform, processors, device, commit
);
CREATE TABLE encoders (
  encoder_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  model TEXT NOT NULL,
  trained INTEGER NOT NULL CHECK (trained IN (0, 1)),
  weights_sha256 TEXT NOT NULL,
  image_size_px INTEGER NOT NULL,
  images INTEGER NOT NULL,  -- or patches
  unreadable INTEGER NOT NULL,
  settings TEXT NOT NULL,  -- JSON; heads that see pixels have an encoder whose model is 'none'
  UNIQUE (name, settings)  -- features, and activations or pixels of the same encoder for networks
);
CREATE TABLE heads (
  head_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  pool TEXT NOT NULL,  -- of an encoder's features; of maps their strides, joined by +; of networks the blocks that are trained
  settings TEXT NOT NULL,  -- JSON
  UNIQUE (name, settings)
);
CREATE TABLE runs (
  run_id INTEGER PRIMARY KEY,
  encoder_id INTEGER NOT NULL REFERENCES encoders,
  head_id INTEGER NOT NULL REFERENCES heads,
  environment_id INTEGER NOT NULL REFERENCES environments,
  task TEXT NOT NULL CHECK (task IN ('classification', 'regression', 'multilabel', 'segmentation', 'detection')),
  chosen TEXT NOT NULL,  -- JSON: the setting that was best on val
  edges TEXT NOT NULL,  -- JSON: names of the chosen settings that lie at an end of their grid
  warnings TEXT NOT NULL,  -- JSON: what the training warned of
  train_images INTEGER NOT NULL,
  val_images INTEGER NOT NULL,
  test_images INTEGER NOT NULL,
  replicates INTEGER NOT NULL,  -- seeds, or few-shot draws; figures are means over them
  temperatures TEXT,  -- JSON: what the logits of each replicate are divided by, fitted on val; NULL but for classification
  seconds REAL NOT NULL,
  UNIQUE (encoder_id, head_id)
);
CREATE TABLE metrics (
  run_id INTEGER NOT NULL REFERENCES runs,
  split TEXT NOT NULL CHECK (split IN ('val', 'test')),
  name TEXT NOT NULL,  -- classification: accuracy, balanced_accuracy, macro_f1, auroc, average_precision, ece, log_loss, brier; ece_raw, …: uncalibrated; two classes:
  -- sensitivity_at_specificity and specificity_reached, on test alone, see operating_points. segmentation: mean_iou, mean_iou_in_truth, mean_dice,
  -- pixel_accuracy, of all pixels together; image_mean_iou, image_mean_iou_in_truth, means over images.
  -- regression: mae, r2, spearman. multilabel: average_precision and auroc, means over labels; macro_f1, micro_f1
  -- detection: also precision, recall, h_mean of all words together, and of a stratum: h_mean.small, recall.curved
  value REAL,  -- NULL, here and below: cannot be known
  low REAL,  -- 95 % interval
  high REAL,
  sd REAL,  -- over the replicates; of means over images, over the images
  units INTEGER NOT NULL,  -- independent images, or groups of them, that the interval is from
  PRIMARY KEY (run_id, split, name)
);
CREATE TABLE ranking (
  task TEXT PRIMARY KEY,
  metric TEXT NOT NULL,  -- evaluation.metric, or evaluation.mask_metric: ranks runs by val, and compares them on test
  sign INTEGER NOT NULL CHECK (sign IN (1, -1))  -- -1: the lower, the better
);
CREATE TABLE floors (  -- a head that gives every image the shares of the classes in train, and so says the largest class; or the
  -- mean of numbers, or the shares of labels
  split TEXT NOT NULL CHECK (split IN ('val', 'test')),
  name TEXT NOT NULL,  -- of the figure
  class TEXT NOT NULL,  -- the largest of train; of numbers their mean, of labels "shares of train"
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
CREATE TABLE steps (  -- of the trainings of networks: those of the setting that was chosen
  run_id INTEGER NOT NULL REFERENCES runs,
  replicate INTEGER NOT NULL,
  step INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  loss REAL,
  rate REAL NOT NULL,  -- learning rate
  seconds REAL NOT NULL,
  images_per_s REAL NOT NULL,
  micro_batch INTEGER NOT NULL,  -- images at once
  peak_mb REAL NOT NULL,  -- most memory so far, MB of 2**20 bytes
  retries INTEGER NOT NULL,  -- of the card's allocator, so far
  PRIMARY KEY (run_id, replicate, step)
) WITHOUT ROWID;
CREATE TABLE classes (  -- of classification, on test; of multilabel the labels, at the thresholds of val
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
CREATE TABLE regions (  -- the classes of segmentation
  run_id INTEGER NOT NULL REFERENCES runs,
  split TEXT NOT NULL CHECK (split IN ('val', 'test')),
  class TEXT NOT NULL,
  iou REAL,  -- NULL, here and below: cannot be known
  iou_low REAL,  -- 95 % interval
  iou_high REAL,
  dice REAL,
  dice_low REAL,
  dice_high REAL,
  hd95 REAL,  -- px, mean over the images that have it; NULL also where evaluation.hd95 is false
  hd95_low REAL,
  hd95_high REAL,
  hd95_undefined INTEGER,  -- images whose truth or prediction lacks the class
  PRIMARY KEY (run_id, split, class)
);
CREATE TABLE stitching (
  run_id INTEGER PRIMARY KEY REFERENCES runs,
  blend TEXT NOT NULL CHECK (blend IN ('crop', 'gaussian')),
  exact INTEGER NOT NULL CHECK (exact IN (0, 1)),  -- whether patches give what the whole image would
  reach_px INTEGER,  -- how far an output sees; NULL: all of the patch
  halo_px INTEGER NOT NULL,
  disagreement REAL  -- share of the pixels with two patches or more for which these named different classes
);
CREATE TABLE text_thresholds (  -- of detection: the best on val
  run_id INTEGER PRIMARY KEY REFERENCES runs,
  protocol TEXT NOT NULL CHECK (protocol IN ('icdar2015', 'maximal')),
  binarise REAL NOT NULL,  -- a pixel of text has a probability above
  box_score REAL NOT NULL,  -- least mean probability of a word
  unclip REAL NOT NULL  -- how far a shrunk word is grown: area times this over length, px
);
CREATE TABLE words (  -- that detection finds, at these thresholds
  run_id INTEGER NOT NULL REFERENCES runs,
  image_id INTEGER NOT NULL,
  word INTEGER NOT NULL,  -- number in the image, the surest first
  score REAL NOT NULL,  -- mean probability
  polygon TEXT NOT NULL,  -- JSON: corners, px, [[x, y], …]
  found TEXT NOT NULL CHECK (found IN ('hit', 'false alarm', 'ignored')),
  PRIMARY KEY (run_id, image_id, word)
) WITHOUT ROWID;
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
CREATE TABLE gains (  -- of a network over the head that its classifier began with, on the test images that both predicted
  run_id INTEGER PRIMARY KEY REFERENCES runs,
  start_run_id INTEGER NOT NULL REFERENCES runs,
  images INTEGER NOT NULL,
  difference REAL,  -- of the metric that ranks, on test; NULL, here and below: no image in common
  low REAL,  -- 95 % interval
  high REAL,
  p_value REAL,
  units INTEGER
);
CREATE TABLE split_repeats (  -- every head on every random split, where dataset.split.repeats asks for several
  run_id INTEGER NOT NULL REFERENCES runs,
  repeat INTEGER NOT NULL,  -- 0: the split of the manifest, whose figures are in metrics
  value REAL,  -- on test, of the metric that ranks
  accuracy REAL,
  train_images INTEGER,  -- from which it learns, or from which its few shots are drawn
  test_images INTEGER,
  failed TEXT,  -- why the split does not count; NULL where it does
  PRIMARY KEY (run_id, repeat)
);
CREATE TABLE over_splits (  -- of the splits that count
  run_id INTEGER PRIMARY KEY REFERENCES runs,
  repeats INTEGER NOT NULL,  -- splits that were asked for
  counted INTEGER NOT NULL,
  mean REAL,  -- of the metric that ranks, on test; NULL, here and below: cannot be known
  sd REAL,
  mean_low REAL,  -- 95 % interval, corrected for the images that splits share (Nadeau and Bengio 2003)
  mean_high REAL,
  difference REAL,  -- less that of comparisons.best_run_id, split by split; NULL for that run itself
  difference_low REAL,
  difference_high REAL,
  p_value REAL,
  p_adjusted REAL,  -- Holm
  told_apart INTEGER CHECK (told_apart IN (0, 1))
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
CREATE TABLE pipelines (  -- of pipelines.csv, after `snakemake compare_pipelines`; docs/pipelines.md explains the columns
  pipeline TEXT PRIMARY KEY,
  settings TEXT,
  decoding TEXT,  -- JSON: keys of the config that choose it; NULL: none do
  encoder TEXT,  -- JSON: the same of the encoder
  images INTEGER,
  unreadable INTEGER,
  prepare_s REAL,  -- NULL, here and below: it was not measured, and note says why
  cold_s REAL,
  cold_images_per_s REAL,
  warm_s REAL,
  warm_images_per_s REAL,
  cpu_s REAL,
  peak_mb REAL,
  least_times REAL,
  feature_difference REAL,
  accuracy REAL,  -- NULL, here and below: no accuracy is known
  accuracy_difference REAL,
  low REAL,  -- 95 % interval
  high REAL,
  task TEXT,  -- extraction, or training: an epoch of a linear head, or of the config's network
  metric TEXT,  -- what accuracy is: accuracy, or of masks mean_iou, of words h_mean
  differs INTEGER CHECK (differs IN (0, 1)),
  note TEXT,
  network TEXT  -- JSON: keys of the network that choose it; NULL: none do
);
CREATE VIEW leaderboard AS  -- a figure that only one task has is NULL for the others
WITH figures AS (
  SELECT
    run_id,
    max(CASE WHEN split = 'val' AND name = 'accuracy' THEN value END) AS val_accuracy,
    max(CASE WHEN split = 'test' AND name = 'accuracy' THEN value END) AS test_accuracy,
    max(CASE WHEN split = 'test' AND name = 'balanced_accuracy' THEN value END) AS test_balanced_accuracy,
    max(CASE WHEN split = 'test' AND name = 'macro_f1' THEN value END) AS test_macro_f1,
    max(CASE WHEN split = 'test' AND name = 'auroc' THEN value END) AS test_auroc,
    max(CASE WHEN split = 'test' AND name = 'average_precision' THEN value END) AS test_average_precision,
    max(CASE WHEN split = 'test' AND name = 'ece' THEN value END) AS test_ece,
    max(CASE WHEN split = 'test' AND name = 'log_loss' THEN value END) AS test_log_loss,
    max(CASE WHEN split = 'test' AND name = 'brier' THEN value END) AS test_brier,
    max(CASE WHEN split = 'test' AND name = 'micro_f1' THEN value END) AS test_micro_f1,
    max(CASE WHEN split = 'test' AND name = 'mae' THEN value END) AS test_mae,
    max(CASE WHEN split = 'test' AND name = 'r2' THEN value END) AS test_r2,
    max(CASE WHEN split = 'test' AND name = 'spearman' THEN value END) AS test_spearman,
    max(CASE WHEN split = 'val' AND name = 'mean_iou' THEN value END) AS val_mean_iou,
    max(CASE WHEN split = 'test' AND name = 'mean_iou' THEN value END) AS test_mean_iou,
    max(CASE WHEN split = 'test' AND name = 'mean_iou_in_truth' THEN value END) AS test_mean_iou_in_truth,
    max(CASE WHEN split = 'test' AND name = 'mean_dice' THEN value END) AS test_mean_dice,
    max(CASE WHEN split = 'test' AND name = 'pixel_accuracy' THEN value END) AS test_pixel_accuracy,
    max(CASE WHEN split = 'val' AND name = 'h_mean' THEN value END) AS val_h_mean,
    max(CASE WHEN split = 'test' AND name = 'h_mean' THEN value END) AS test_h_mean,
    max(CASE WHEN split = 'test' AND name = 'precision' THEN value END) AS test_precision,
    max(CASE WHEN split = 'test' AND name = 'recall' THEN value END) AS test_recall
  FROM metrics GROUP BY run_id
)
SELECT
  encoders.name AS encoder,
  heads.name AS head,
  heads.kind AS kind,
  heads.pool AS pool,
  CASE
    WHEN encoders.model = 'none' THEN 'none'
    WHEN heads.kind = 'network' AND heads.pool = 'all' AND NOT encoders.trained THEN 'trained here'
    WHEN encoders.trained THEN 'trained'
    ELSE 'untrained'
  END AS weights,
  runs.chosen AS chosen,
  runs.edges AS edges,
  runs.warnings AS warnings,
  (SELECT count(*) FROM trials WHERE trials.run_id = runs.run_id) AS trials,
  runs.task AS task,
  ranking.metric AS metric,
  val.value AS val,  -- here and below: of the metric that ranks; NULL where a mask head has no scores
  test.value AS test,
  test.low AS test_low,
  test.high AS test_high,
  test.sd AS test_sd,
  test.units AS test_units,
  comparisons.best_run_id = runs.run_id AS is_best,
  comparisons.difference AS difference,
  comparisons.low AS difference_low,
  comparisons.high AS difference_high,
  comparisons.p_value AS p_value,
  comparisons.p_adjusted AS p_adjusted,
  comparisons.told_apart AS told_apart,
  begun.name AS start,  -- NULL, here and below: no network, or one that began with no head
  gains.difference AS gain,
  gains.low AS gain_low,
  gains.high AS gain_high,
  over_splits.repeats AS splits,  -- NULL, here and below: there is one split alone
  over_splits.counted AS splits_counted,
  over_splits.mean AS splits_mean,
  over_splits.sd AS splits_sd,
  over_splits.mean_low AS splits_low,
  over_splits.mean_high AS splits_high,
  over_splits.difference AS splits_difference,
  over_splits.difference_low AS splits_difference_low,
  over_splits.difference_high AS splits_difference_high,
  over_splits.p_value AS splits_p_value,
  over_splits.p_adjusted AS splits_p_adjusted,
  over_splits.told_apart AS splits_told_apart,
  runs.replicates AS replicates,
  runs.test_images AS test_images,
  runs.seconds AS seconds,
  val_accuracy,
  test_accuracy,
  test_balanced_accuracy,
  test_macro_f1,
  test_auroc,
  test_average_precision,
  test_ece,
  test_log_loss,
  test_brier,
  test_micro_f1,
  test_mae,
  test_r2,
  test_spearman,
  operating_points.positive AS positive,  -- NULL, here and below: nothing was asked of two classes
  operating_points.specificity AS asked_specificity,
  sensitivity.value AS test_sensitivity,
  sensitivity.low AS test_sensitivity_low,
  sensitivity.high AS test_sensitivity_high,
  reached.value AS test_specificity,
  reached.low AS test_specificity_low,
  reached.high AS test_specificity_high,
  operating_points.val_negatives AS val_negatives,
  operating_points.unknown AS unknown,
  val_mean_iou,
  test_mean_iou,
  test_mean_iou_in_truth,
  image.value AS test_over_images,  -- the metric that ranks of each image, and its mean
  image.low AS test_over_images_low,
  image.high AS test_over_images_high,
  image.sd AS test_over_images_sd,
  test_mean_dice,
  test_pixel_accuracy,
  val_h_mean,
  test_h_mean,
  test_precision,
  test_recall,
  stitching.disagreement AS disagreement,
  stitching.blend AS blend,
  stitching.exact AS exact
FROM runs
JOIN encoders USING (encoder_id)
JOIN heads USING (head_id)
JOIN ranking USING (task)
LEFT JOIN comparisons USING (run_id)
LEFT JOIN gains USING (run_id)
LEFT JOIN runs AS start_runs ON start_runs.run_id = gains.start_run_id
LEFT JOIN heads AS begun ON begun.head_id = start_runs.head_id
LEFT JOIN over_splits USING (run_id)
LEFT JOIN operating_points USING (run_id)
LEFT JOIN stitching USING (run_id)
LEFT JOIN figures USING (run_id)
LEFT JOIN metrics AS val ON val.run_id = runs.run_id AND val.split = 'val' AND val.name = ranking.metric
LEFT JOIN metrics AS test ON test.run_id = runs.run_id AND test.split = 'test' AND test.name = ranking.metric
LEFT JOIN metrics AS sensitivity
  ON sensitivity.run_id = runs.run_id AND sensitivity.split = 'test'
  AND sensitivity.name = 'sensitivity_at_specificity'
LEFT JOIN metrics AS reached
  ON reached.run_id = runs.run_id AND reached.split = 'test' AND reached.name = 'specificity_reached'
LEFT JOIN metrics AS image
  ON image.run_id = runs.run_id AND image.split = 'test' AND image.name = 'image_' || ranking.metric
ORDER BY ranking.sign * val.value DESC, encoders.name, heads.name;
