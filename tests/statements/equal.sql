-- Spellings of one statement: the lines of a block give equal trees.
GET THANOSQL DATASET d OPTIONS (overwrite=True)
get thanosql dataset "d" options(overwrite = TRUE) ;
;; /* c */ GET THANOSQL DATASET 'd' OPTIONS ("overwrite"=true,)

GET THANOSQL MODEL m OPTIONS (overwrite=True) AS n
GET THANOSQL MODEL m OPTIONS (model_name='n', overwrite=True)
GET THANOSQL MODEL m AS n OPTIONS (overwrite=True)
GET THANOSQL MODEL m OPTIONS (overwrite=True, model_name="n") AS n

COPY t FROM 'it''s.csv'
COPY [t] FROM "it's.csv"
COPY 't' OPTIONS () FROM 'it''s.csv'

SEARCH IMAGE text='a' USING m AS SELECT 1
SEARCH IMAGE texts=['a'] USING m AS (SELECT 1)
search image TEXT = "a" using "m" as ( SELECT 1 )
SEARCH IMAGE USING m text='a' AS SELECT 1 -- comment

SEARCH IMAGE texts=['a', 'b'] image='c' USING m AS SELECT 1
SEARCH IMAGE images=["c",], text=["a","b"] USING m AS SELECT 1

SEARCH TEXT USING m OPTIONS (search_by='image', search_input='a', result_col='r') AS SELECT 1
SEARCH TEXT OPTIONS (column_name='r', search_input='a', search_input_type='IMAGE') USING m AS SELECT 1

SEARCH IMAGE USING m OPTIONS (search_by='text', search_input=['a', ?]) AS SELECT 1
SEARCH IMAGE USING m OPTIONS (search_input=['a', ?1], search_by="text") AS SELECT 1

CONVERT USING m OPTIONS (image_col='a', result_col='r', batch_size=16) AS SELECT 1
CONVERT USING m OPTIONS (image_column='a', column_name='r', batch_size=0x10) AS SELECT 1

PRINT IMAGE OPTIONS (image_col='a', limit=NULL) AS SELECT 1
PRINT IMAGE OPTIONS (image_column="a", limit=none) AS (SELECT 1)

LIST THANOSQL MODEL
LIST THANOSQL_MODEL
list /* of the */ thanosql /* hub */ model
