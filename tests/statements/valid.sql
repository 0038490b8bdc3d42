-- Every form of the language, one a line: kind of the tree, then the statement.
GetDataset GET THANOSQL DATASET unsplash_data
GetDataset get thanosql dataset "unsplash data" options(Overwrite = true);
GetDataset GET THANOSQL DATASET storybook OPTIONS (rows=25000, seed=7, overwrite=False) -- 새 자료
GetModel GET THANOSQL MODEL clip
GetModel GET THANOSQL MODEL clip AS my_clip
GetModel GET THANOSQL MODEL clip OPTIONS (overwrite=True) AS my_clip
GetModel GET THANOSQL MODEL clip AS my_clip OPTIONS (overwrite=True)
GetModel GET THANOSQL MODEL clip OPTIONS (model_name=?)
Copy COPY t FROM 'dir/file.csv'
Copy COPY main.t OPTIONS (if_exists='append') FROM "folder/"
Copy COPY [my table] FROM ?
Copy COPY options FROM '[{"a": 1}]'
Copy COPY t FROM :frame OPTIONS (overwrite=True,)
Copy COPY 사진 FROM '사진/'
Query CONVERT USING m AS SELECT * FROM t
Query CONVERT USING "m" OPTIONS () AS (SELECT * FROM t)
Query CONVERT OPTIONS (image_col='p', convert_type='image', on_error='fail') USING m AS VALUES (1)
Query CONVERT AS (SELECT * FROM t) USING m
Query SELECT * FROM (CONVERT USING m OPTIONS (text_col='t', convert_type='text') AS SELECT * FROM t) AS x
Query CREATE TABLE u AS SELECT * FROM (CONVERT USING m AS SELECT * FROM t)
Query CREATE TEMP TABLE IF NOT EXISTS u AS CONVERT USING m AS SELECT * FROM t
Query SEARCH IMAGE text="a black cat" USING m AS SELECT * FROM t
Query SEARCH TEXT images=['a.jpg', "b.jpg"] USING m AS SELECT * FROM t
Query SEARCH IMAGE text='a', image='b.jpg' USING m OPTIONS (top_k=None, threshold=-.2) AS SELECT 1
Query SEARCH IMAGE text='a' image='b.jpg' USING m AS SELECT 1
Query SEARCH IMAGE USING m text='a' OPTIONS (top_k=3) AS SELECT 1
Query SEARCH IMAGE OPTIONS (top_k=3) text='a' USING m AS SELECT 1
Query SEARCH IMAGE text=["a", ?, :b] USING m AS SELECT 1
Query SEARCH IMAGE USING m OPTIONS (search_by='text', search_input='a', emb_col='e', result_col='r', top_k=5) AS (SELECT 1)
Query SEARCH IMAGE USING m OPTIONS (search_by=?, search_input=?) AS SELECT 1
Query SEARCH IMAGE text='a' USING m AS SEARCH IMAGE text='b' USING m AS SELECT 1
Query SEARCH IMAGE text='a' USING m AS (SELECT 1) ORDER BY 2 DESC LIMIT 5
Query SEARCH IMAGE text='a' USING m AS (SELECT 1) UNION ALL SELECT 2
Query SELECT 1 UNION ALL SEARCH IMAGE text='a' USING m AS SELECT 1
Query SELECT 1 EXCEPT SEARCH IMAGE text='a' USING m AS SELECT 1
Query WITH q AS (SEARCH IMAGE text='a' USING m AS SELECT * FROM t) SELECT * FROM q
Query WITH q AS (SELECT 1) SEARCH IMAGE text='a' USING m AS SELECT * FROM q
Query SEARCH IMAGE text='a' USING m AS WITH q AS (SELECT 1) SELECT * FROM q
Query INSERT INTO t SELECT * FROM (SEARCH IMAGE text='a' USING m AS SELECT 1)
Query INSERT INTO search SEARCH IMAGE text='a' USING m AS SELECT 1
Query INSERT INTO main.t AS u (a, b) SEARCH IMAGE text='a' USING m AS (SELECT 1) ON CONFLICT DO NOTHING
Query INSERT INTO t WITH q AS (SELECT 1) SEARCH IMAGE text='a' USING m AS SELECT * FROM q
Query UPDATE t SET a = (SELECT x FROM (SEARCH IMAGE text='a' USING m AS SELECT 1)) WHERE b = ?
Query DELETE FROM t WHERE id IN (SELECT id FROM (SEARCH IMAGE text='a' USING m AS SELECT 1))
Query CREATE VIEW v AS SELECT * FROM (SEARCH IMAGE text='a' USING m AS SELECT 1)
Query CREATE VIEW IF NOT EXISTS v (a, b) AS SEARCH IMAGE text='a' USING m AS SELECT 1
Query CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u SELECT * FROM (SEARCH IMAGE text='a' USING m AS SELECT 1); DELETE FROM x; END;
Query EXPLAIN SEARCH IMAGE text='a' USING m AS SELECT 1
Query EXPLAIN QUERY PLAN SELECT * FROM (SEARCH IMAGE text='a' USING m AS SELECT 1)
Query SEARCH IMAGE text=['a cat', '-a dog', '0.5*night'] USING m OPTIONS (combine=True) AS SELECT 1
Query SEARCH IMAGE text='a' USING m OPTIONS (score='probability', threshold=0.6) AS SELECT 1
Query SEARCH IMAGE text='a' USING m OPTIONS (score='percentile', diversify=0.3, top_k=9) AS SELECT 1
Query PREDICT USING my_classifier OPTIONS (image_col='image_path', result_col='predict_result') AS SELECT * FROM product_image_test
Query PREDICT USING m OPTIONS (image_col='image', column_name='predicted') AS SELECT 1
Query PREDICT USING m OPTIONS (score_col='p', top_k=3, emb_col='e', base_dir='d', batch_size=16) AS SELECT 1
Query PREDICT USING m OPTIONS (labels=['고양이', "a dog"], templates=['a photo of a {}', ?]) AS SELECT 1
Query PREDICT USING m OPTIONS (label_col='name', label_table='species') AS SELECT 1
Query SELECT * FROM (PREDICT USING m AS SELECT * FROM diet) WHERE label = predict_result LIMIT 10
Query EVALUATE USING my_classifier OPTIONS (image_col='image_path', label_col='label') AS SELECT * FROM product_image_test
Query EVALUATE USING m OPTIONS (image_col='image_path', text_col='caption', k=[1, 5, 10]) AS SELECT 1
Query EVALUATE USING m OPTIONS (label_col='label', labels=:l, by_label=True) AS (SELECT 1)
Query EVALUATE USING m OPTIONS (interval=0.95, seed=7) AS SELECT 1
Query FUNCTION compute.groupby_emb_mean OPTIONS (label_col='label', emb_col='convert_result', result_col='emb_mean_result') AS SELECT * FROM t
Query FUNCTION compute.groupby_emb_mean FROM 'vectors.parquet'
Query FUNCTION compute.similarity OPTIONS (emb_col='e', src_table='t', src_emb_col='e', src_label_col='label', top_k=1, result_col='similarity_result') AS SELECT * FROM u
Query FUNCTION compute.similarity OPTIONS (src_table='t') FROM ?
Query SELECT * FROM (FUNCTION compute.nearest OPTIONS (emb_col='v', src_table='t', key_col='id', src_key_col='id', top_k=3, rank_col='n') AS SELECT * FROM t)
Query SELECT * FROM (FUNCTION compute.duplicates OPTIONS (emb_col='e', threshold=0.98) AS SELECT * FROM t)
Query FUNCTION compute.outliers OPTIONS (neighbors=3, top_k=9) AS SELECT * FROM t
Query LIST MODEL
Query LIST TABLE;
Query LIST THANOSQL MODEL
Query LIST THANOSQL DATASET
Query SELECT * FROM (LIST MODEL) WHERE name LIKE 'c%' LIMIT 3
Query SELECT * FROM (list thanosql model)
Query LIST MODEL UNION ALL LIST TABLE ORDER BY 1
Print PRINT IMAGE AS SELECT image_path FROM t LIMIT 5
Print PRINT IMAGE OPTIONS (image_col='p', base_dir='d', limit=3) AS (SELECT p FROM t)
Print PRINT AUDIO AS LIST MODEL
Print PRINT VIDEO OPTIONS (video_col=:c) AS ((SELECT 1))
Print PRINT IMAGE AS SELECT * FROM (SEARCH IMAGE text='a' USING m AS SELECT 1) ORDER BY 1
UploadModel UPLOAD MODEL m OPTIONS (framework='pytorch', overwrite=True) FROM 'folder'
DeleteModel DELETE MODEL clip;
DeleteModel /* gone */ delete /* the */ model 'clip-en'
BuildModel BUILD MODEL m USING CLIPEn OPTIONS (epochs=3, learning_rate=1e-4) AS SELECT 1
BuildModel BUILD MODEL my_classifier USING ConvNeXt_Tiny OPTIONS (image_col='image_path', label_col='div_l', max_epochs=1, overwrite=True) AS SELECT * FROM product_image_train
BuildModel BUILD MODEL m USING EfficientNetV2S OPTIONS (image_col='image', label_col='label', batch_size=16, input_size=[224, 224], color='RGB') AS SELECT 1
BuildModel BUILD MODEL m USING clip OPTIONS (base_model='clip', emb_col='e', seed=3) AS SELECT 1
BuildModel BUILD MODEL m USING clipen OPTIONS (text_col='caption') AS SELECT 1
BuildModel BUILD MODEL m USING CLIPEn OPTIONS (image_col='image_path', text_col='caption', size='base', epochs=30, batch_size=512, learning_rate=5e-4, seed=1, max_minutes=90.5, validate=0.05, overwrite=True) AS SELECT * FROM captioned
FitModel FIT MODEL m USING base AS SELECT 1
FitModel FIT MODEL new USING old OPTIONS (image_col='image_path', label_col='label', max_epochs=1) AS SELECT 1
FitModel FIT MODEL new USING clip OPTIONS (text_col='caption', method='head') AS SELECT 1
FitModel FIT MODEL new USING clip OPTIONS (image_col='image_path', text_col='caption', method='lora', epochs=3, batch_size=32, learning_rate=1e-4, seed=1, max_minutes=5, validate=0.2, overwrite=True) AS SELECT * FROM captioned
FitModel FIT MODEL new USING clip OPTIONS (image_column='image', text_col='caption', method='full', max_epochs=1) AS SELECT 1
Unsupported SEARCH AUDIO text='a' USING m AS SELECT 1
Unsupported SEARCH KEYWORD USING m OPTIONS (lang='ko', ngram_range=[1, 2]) AS SELECT 1
Unsupported SEARCH IMAGE USING m OPTIONS (search_by='audio', search_input='a') AS SELECT 1
Query SELECT * FROM (SEARCH VIDEO text='a' USING m AS SELECT 1)
Query SEARCH VIDEO USING m OPTIONS (search_by='text', search_input='a') AS SELECT 1
Query FUNCTION preprocess.video_to_df OPTIONS (method='split') FROM 'v.mp4'
Query SELECT * FROM (FUNCTION preprocess.video_to_df OPTIONS (interval=:i) AS SELECT 1) AS f
Unsupported TRANSFORM USING m AS SELECT 1
Unsupported GENERATE USING gpt OPTIONS (task='x') AS SELECT 1
CreateUsing CREATE TABLE t USING m OPTIONS (path_type='folder') FROM 'd'
CreateUsing CREATE TEMP TABLE IF NOT EXISTS temp.t USING m FROM 'd'
