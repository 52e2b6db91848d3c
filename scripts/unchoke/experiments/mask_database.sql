-- What experiments.db has beside the tables of database.sql where heads predict masks. Figures are in ``metrics``
-- (mean_iou, mean_iou_in_truth, mean_dice, pixel_accuracy of all pixels together; image_mean_iou and
-- image_mean_iou_in_truth, means over images, whose sd is the deviation over images); ``classes`` and ``comparisons``,
-- of image heads, stay empty. What encoders have as images are patches; the pseudo-encoder of heads that see pixels has
-- model 'none'.

CREATE TABLE mask_metric (
  name TEXT PRIMARY KEY CHECK (name IN ('mean_iou', 'mean_iou_in_truth'))  -- ranks heads and compares them
);
CREATE TABLE regions (
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
CREATE TABLE mask_comparisons (
  run_id INTEGER PRIMARY KEY REFERENCES runs,
  best_run_id INTEGER NOT NULL REFERENCES runs,  -- the run whose mask_metric is best on val
  images INTEGER NOT NULL,  -- of test, that both predicted
  difference REAL,  -- test mask_metric less that of the best, on these images
  low REAL,  -- 95 % interval: Student's t with the deviation over resamples that both share
  high REAL,
  p_value REAL,  -- two-sided, of the same Student's t
  p_adjusted REAL,  -- for the number of runs that are compared (Holm 1979)
  told_apart INTEGER CHECK (told_apart IN (0, 1)),  -- whether p_adjusted is below 0.05
  units INTEGER  -- independent images, or groups of them
);
CREATE VIEW mask_leaderboard AS
SELECT
  encoders.name AS encoder,
  heads.name AS head,
  heads.kind AS kind,
  heads.pool AS maps,
  CASE WHEN encoders.model = 'none' THEN 'none' WHEN encoders.trained THEN 'trained' ELSE 'untrained' END AS weights,
  runs.chosen AS chosen,
  runs.edges AS edges,
  runs.warnings AS warnings,
  (SELECT count(*) FROM trials WHERE trials.run_id = runs.run_id) AS trials,
  mask_metric.name AS metric,
  val.value AS val_mean_iou,  -- here and below: by the metric named before
  test.value AS test_mean_iou,
  test.units AS test_units,
  test.low AS test_low,
  test.high AS test_high,
  image.value AS test_image_mean_iou,
  image.low AS test_image_low,
  image.high AS test_image_high,
  image.sd AS test_image_sd,
  dice.value AS test_mean_dice,
  accuracy.value AS test_pixel_accuracy,
  stitching.disagreement AS disagreement,
  stitching.blend AS blend,
  stitching.exact AS exact,
  mask_comparisons.best_run_id = runs.run_id AS is_best,
  mask_comparisons.difference AS difference,
  mask_comparisons.low AS difference_low,
  mask_comparisons.high AS difference_high,
  mask_comparisons.p_value AS p_value,
  mask_comparisons.p_adjusted AS p_adjusted,
  mask_comparisons.told_apart AS told_apart,
  runs.replicates AS replicates,
  runs.test_images AS test_images,
  runs.seconds AS seconds
FROM runs
JOIN mask_metric
JOIN encoders USING (encoder_id)
JOIN heads USING (head_id)
LEFT JOIN stitching ON stitching.run_id = runs.run_id
LEFT JOIN mask_comparisons ON mask_comparisons.run_id = runs.run_id
LEFT JOIN metrics AS val ON val.run_id = runs.run_id AND val.split = 'val' AND val.name = mask_metric.name
LEFT JOIN metrics AS test ON test.run_id = runs.run_id AND test.split = 'test' AND test.name = mask_metric.name
LEFT JOIN metrics AS image
  ON image.run_id = runs.run_id AND image.split = 'test' AND image.name = 'image_' || mask_metric.name
LEFT JOIN metrics AS dice ON dice.run_id = runs.run_id AND dice.split = 'test' AND dice.name = 'mean_dice'
LEFT JOIN metrics AS accuracy
  ON accuracy.run_id = runs.run_id AND accuracy.split = 'test' AND accuracy.name = 'pixel_accuracy'
ORDER BY val.value DESC, encoders.name, heads.name;
