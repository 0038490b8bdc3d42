-- A statement, then the error: line:column, message; hint. "\n" in a statement is a new line.
SEARCH IMGE text='a' USING m AS SELECT 1
--^ 1:8 SEARCH: expected IMAGE, TEXT or VIDEO, found 'IMGE'; did you mean IMAGE?
SEARCH
--^ 1:7 SEARCH: expected IMAGE, TEXT or VIDEO, found end of statement
SEARCH text='a' USING m AS SELECT 1
--^ 1:8 SEARCH: expected IMAGE or TEXT before text=; write SEARCH IMAGE text=…
SEARCH USING m OPTIONS (search_by='text') AS SELECT 1
--^ 1:8 SEARCH: expected IMAGE, TEXT or VIDEO, found 'USING'
SEARCH IMAGE 'a black cat' USING m AS SELECT 1
--^ 1:14 SEARCH IMAGE: expected text=…, image=… or USING and a model, found "'a black cat'"
SEARCH IMAGE txt='a' USING m AS SELECT 1
--^ 1:14 SEARCH IMAGE: expected text= or image=, found 'txt'; did you mean 'text'?
SEARCH IMAGE text 'a' USING m AS SELECT 1
--^ 1:19 SEARCH IMAGE: expected '=' after text, found "'a'"
SEARCH IMAGE text=cat USING m AS SELECT 1
--^ 1:19 SEARCH IMAGE: expected a value for text, found 'cat'; put text in quotes: 'cat'
SEARCH IMAGE text=5 USING m AS SELECT 1
--^ 1:14 SEARCH IMAGE: expected a string for text, found 5
SEARCH IMAGE text=[] USING m AS SELECT 1
--^ 1:14 SEARCH IMAGE: expected one value or more for text, found an empty list
SEARCH IMAGE text=[['a']] USING m AS SELECT 1
--^ 1:20 SEARCH IMAGE: expected a value in the list of text, found "['a']"; a list cannot hold a list
SEARCH IMAGE text=['a' USING m AS SELECT 1
--^ 1:24 SEARCH IMAGE: expected ',' or ']' in the list of text, found 'USING'
SEARCH IMAGE text=['a', 'b'
--^ 1:19 SEARCH IMAGE: the list of text is never closed
SEARCH IMAGE text='a' texts=['b'] USING m AS SELECT 1
--^ 1:23 SEARCH IMAGE: texts= is given twice; put the values in one list: texts=['…', '…']
SEARCH IMAGE text='a' AS SELECT 1
--^ 1:23 SEARCH IMAGE: expected USING and a model, found 'AS'
SEARCH IMAGE text='a' AS (SELECT 1)
--^ 1:36 SEARCH IMAGE: expected USING and a model, found end of statement
SEARCH IMAGE text='a'\nUSNG m AS SELECT 1
--^ 2:1 SEARCH IMAGE: expected USING and a model, found 'USNG'; did you mean USING?
SEARCH IMAGE text='a' USING ? AS SELECT 1
--^ 1:29 SEARCH IMAGE: expected a model after USING, found '?'; a name cannot be bound, write it out
SEARCH IMAGE text='a' USING AS SELECT 1
--^ 1:29 SEARCH IMAGE: expected a model after USING, found 'AS'
SEARCH IMAGE text='a' USING "" AS SELECT 1
--^ 1:29 SEARCH IMAGE: expected a model after USING, found an empty name
SEARCH IMAGE text='a' USING m USING n AS SELECT 1
--^ 1:31 SEARCH IMAGE: USING is given twice
SEARCH IMAGE text='a' USING m OPTIONS (top_k=1) OPTIONS (top_k=2) AS SELECT 1
--^ 1:49 SEARCH IMAGE: OPTIONS is given twice
SEARCH IMAGE text='a' USING m;
--^ 1:30 SEARCH IMAGE: expected AS and a query, found ';'
SEARCH IMAGE text='a' USING m AS unsplash_data
--^ 1:34 SEARCH IMAGE: expected a query after AS, found 'unsplash_data'; write SELECT * FROM and the table
SEARCH IMAGE text='a' USING m AS
--^ 1:33 SEARCH IMAGE: expected a query after AS, found end of statement
SEARCH IMAGE USING m AS (SELECT 1)
--^ 1:35 SEARCH IMAGE: expected what to search for, found end of statement; write SEARCH IMAGE text='…', or image='…' with a path
SEARCH IMAGE text='a USING m AS SELECT 1
--^ 1:19 SEARCH IMAGE: string is never closed: "'a USING m AS SELECT 1"
SEARCH IMAGE text='a' USING m AS SELECT * FROM t WHERE a = 'b
--^ 1:60 string is never closed: "'b"
SEARCH IMAGE text='a' USING m AS SELECT * FROM (t
--^ 1:48 this '(' is never closed
SEARCH IMAGE text='a' USING m AS (SELECT * FROM t
--^ 1:34 this '(' is never closed
SEARCH IMAGE text='a' USING m AS SELECT 1)
--^ 1:42 this ')' closes nothing
SEARCH IMAGE text='a' USING m AS (SELECT 1) WHERE b > 0
--^ 1:45 SEARCH IMAGE: expected the end of the statement, found 'WHERE'
SEARCH IMAGE text='a' USING m OPTIONS top_k=5 AS SELECT 1
--^ 1:39 SEARCH IMAGE: expected '(' after OPTIONS, found 'top_k'
SEARCH IMAGE text='a' USING m\nOPTIONS (\n    serch_by='x'\n) AS SELECT 1
--^ 3:5 SEARCH IMAGE: unknown option 'serch_by'; did you mean 'search_by'? SEARCH IMAGE takes emb_col, result_col, top_k, threshold, combine, score, diversify, search_by, search_input
SEARCH IMAGE text='a' USING m OPTIONS (result_col='x', column_name='y') AS SELECT 1
--^ 1:56 SEARCH IMAGE: option 'result_col' is given twice; column_name is an older spelling of result_col
SEARCH IMAGE text='a' USING m OPTIONS (top_k 5) AS SELECT 1
--^ 1:46 SEARCH IMAGE: expected '=' after the option 'top_k', found '5'
SEARCH IMAGE text='a' USING m OPTIONS (top_k=5 AS SELECT 1
--^ 1:48 SEARCH IMAGE: expected ',' or ')' after the value of top_k, found 'AS'
SEARCH IMAGE text='a' USING m OPTIONS (top_k=5
--^ 1:39 SEARCH IMAGE: the '(' of OPTIONS is never closed
SEARCH IMAGE text='a' USING m OPTIONS (5) AS SELECT 1
--^ 1:40 SEARCH IMAGE: expected the name of an option or ')', found '5'
SEARCH IMAGE text='a' USING m OPTIONS (emb_col=x'00') AS SELECT 1
--^ 1:48 SEARCH IMAGE: expected a value for emb_col, found "x'00'"; bind the bytes to a parameter instead: ?
SEARCH IMAGE text='a' USING m OPTIONS (search_by='text', search_input='b') AS SELECT 1
--^ 1:40 SEARCH IMAGE: expected either text= or search_by and search_input, found both
SEARCH IMAGE USING m OPTIONS (search_by='txt', search_input='b') AS SELECT 1
--^ 1:31 SEARCH IMAGE: expected 'text' or 'image' for search_by, found 'txt'; did you mean 'text'?
SEARCH IMAGE USING m OPTIONS (search_by='text') AS SELECT 1
--^ 1:31 SEARCH IMAGE: expected search_input with search_by; add search_input='…' to OPTIONS
SEARCH IMAGE USING m OPTIONS (search_input='b') AS SELECT 1
--^ 1:31 SEARCH IMAGE: expected search_by with search_input; add search_by='text' or 'image' to OPTIONS
CONVERT USING m OPTIONS (batch_size=1e999) AS SELECT 1
--^ 1:37 CONVERT: the number is too large: '1e999'
CONVERT USING m OPTIONS (batch_size=12abc) AS SELECT 1
--^ 1:39 CONVERT: expected ',' or ')' after the value of batch_size, found 'abc'
CONVERT USING m OPTIONS (batch=1) AS SELECT 1
--^ 1:26 CONVERT: unknown option 'batch'; did you mean 'batch_size'? CONVERT takes image_col, text_col, convert_type, table_name, result_col, batch_size, if_exists, overwrite, on_error, base_dir, verify, video_col, interval
CONVERT t USING m AS SELECT 1
--^ 1:9 CONVERT: expected USING and a model, found 't'
CONVERT USING m AS DELETE FROM t
--^ 1:20 CONVERT: expected a query after AS, found 'DELETE'; write SELECT * FROM and the table
CONVERT USING m AS SELECT ?0
--^ 1:27 expected a parameter number from 1 to 32766, found '?0'
GET foo
--^ 1:5 GET: expected THANOSQL, found 'foo'
GET THANOSQL MODL clip
--^ 1:14 GET THANOSQL: expected DATASET or MODEL, found 'MODL'; did you mean MODEL?
GET THANOSQL DATASET
--^ 1:21 GET THANOSQL DATASET: expected the name of a data set, found end of statement
GET THANOSQL DATASET d AS e
--^ 1:24 GET THANOSQL DATASET: expected the end of the statement, found 'AS'
GET THANOSQL DATASET d OPTION (overwrite=True)
--^ 1:24 GET THANOSQL DATASET: expected the end of the statement, found 'OPTION'; did you mean OPTIONS?
GET THANOSQL MODEL m OPTIONS (model_name='a') AS b
--^ 1:31 GET THANOSQL MODEL: expected one name, found 'a' and AS 'b'
COPY FROM 'x'
--^ 1:6 COPY: expected a table, found 'FROM'
COPY t
--^ 1:7 COPY: expected FROM and a path in quotes, found end of statement
COPY t FROM x.csv
--^ 1:13 COPY: expected a value for FROM, found 'x'; put text in quotes: 'x'
COPY t FROM 5
--^ 1:13 COPY: expected a path or records in quotes after FROM, found '5'
COPY t FROM ['a']
--^ 1:13 COPY: expected a path or records in quotes after FROM, found "['a']"
PRINT IMG AS SELECT 1
--^ 1:7 PRINT: expected IMAGE, AUDIO or VIDEO, found 'IMG'; did you mean IMAGE?
SELECT * FROM (PRINT IMAGE AS SELECT 1)
--^ 1:16 PRINT IMAGE is a whole statement; it cannot be part of another one; run it first, by itself
SELECT * FROM (GET THANOSQL MODEL m)
--^ 1:16 GET THANOSQL MODEL is a whole statement; it cannot be part of another one; run it first, by itself
EXPLAIN COPY t FROM 'x'
--^ 1:9 COPY is a whole statement; it cannot be part of another one; run it first, by itself
SELECT * FROM (SEARCH IMGE text='a' USING m AS SELECT 1)
--^ 1:23 SEARCH: expected IMAGE, TEXT or VIDEO, found 'IMGE'; did you mean IMAGE?
SELECT * FROM (SEARCH IMAGE text='a' USING m AS SELECT 1
--^ 1:15 this '(' is never closed
SELECT 1) FROM (SEARCH IMAGE text='a' USING m AS SELECT 1)
--^ 1:9 this ')' closes nothing
SELECT * FROM (SEARCH IMAGE text='a' USING m AS SELECT 1) WHERE a = "b
--^ 1:69 quoted text is never closed: '"b'
SELECT * FROM (SEARCH IMAGE text='a' USING m AS SELECT 1); DELETE FROM t
--^ 1:60 one statement at a time: expected the end of the statement, found 'DELETE'
LIST
--^ 1:5 LIST: expected MODEL, TABLE or THANOSQL, found end of statement
LIST MODELS
--^ 1:6 LIST: expected MODEL, TABLE or THANOSQL, found 'MODELS'; did you mean MODEL?
LIST MODEL OPTIONS (a=1)
--^ 1:21 LIST MODEL: unknown option 'a'; LIST MODEL takes no options
LIST MODEL; LIST TABLE
--^ 1:13 one statement at a time: expected the end of the statement, found 'LIST'
DELETE MODEL
--^ 1:13 DELETE MODEL: expected the name of a model, found end of statement
DELETE MODEL clip-en
--^ 1:18 DELETE MODEL: expected the end of the name 'clip', found '-'; put a name with other characters than letters, digits and _ in double quotes
UPLOAD MODEL m
--^ 1:15 UPLOAD MODEL: expected FROM and a path in quotes, found end of statement
BUILD MODEL m AS SELECT 1
--^ 1:15 BUILD MODEL: expected USING and a model, found 'AS'
PREDICT USING m OPTIONS (top_k=1, TOP_K=2) AS SELECT 1
--^ 1:35 PREDICT: option 'top_k' is given twice
PREDICT USING m OPTIONS (result_col='a', column_name='b') AS SELECT 1
--^ 1:42 PREDICT: option 'result_col' is given twice; column_name is an older spelling of result_col
PREDICT USING m OPTIONS (labls=['a']) AS SELECT 1
--^ 1:26 PREDICT: unknown option 'labls'; did you mean 'labels'? PREDICT takes image_col, emb_col, result_col, score_col, top_k, labels, label_col, label_table, templates, base_dir, batch_size
FIT CLIP
--^ 1:5 FIT: expected MODEL, found 'CLIP'
