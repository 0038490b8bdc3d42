-- Plain SQLite, one a line, in which our verbs are names. SQLite itself prepares each of them.
SELECT 1
SELECT search, image FROM search
SELECT search image FROM search
SELECT search text, list model, print image, "get" thanosql FROM names
SELECT (search) image, (list) AS model, print(convert) FROM names
SELECT * FROM search image
SELECT * FROM (search image)
SELECT * FROM (search AS text)
SELECT * FROM (search image JOIN list model USING (id))
SELECT * FROM (search image, list model)
SELECT * FROM (search image JOIN list text ON image.id = text.id)
SELECT * FROM (search image NATURAL JOIN list)
SELECT * FROM (search image INDEXED BY image_index)
SELECT * FROM (search image NOT INDEXED)
SELECT * FROM (print image CROSS JOIN copy t)
SELECT * FROM (convert options JOIN predict using_ USING (id))
SELECT * FROM (list AS model)
SELECT * FROM (get thanosql)
SELECT * FROM (copy t), (build model), (fit model), (upload model)
SELECT * FROM list model
SELECT * FROM list, model
SELECT * FROM search, list AS get WHERE search.id = get.id
SELECT * FROM search WHERE (search = 'text') AND (image LIKE 'a%')
SELECT * FROM search WHERE (search LIKE image = 1)
SELECT * FROM search WHERE (search COLLATE nocase = 'x')
SELECT * FROM search WHERE (search IS NOT DISTINCT FROM image)
SELECT * FROM search WHERE search IN (search, image, text)
SELECT * FROM search WHERE (search, image) = ('text', 'using')
SELECT 'SELECT * FROM (SEARCH IMAGE text=''a'' USING m AS SELECT 1)'
SELECT "SEARCH IMAGE text='a' USING m" FROM (SELECT 1 AS "SEARCH IMAGE text='a' USING m")
SELECT 1 AS [SEARCH IMAGE text='a' USING m AS SELECT 1]
SELECT 1 -- (SEARCH IMAGE text='a' USING m AS SELECT 1)
SELECT 1 /* (SEARCH IMAGE text='a' USING m AS SELECT 1) */
SELECT 1 /* never closed (SEARCH IMAGE text='a' USING m AS SELECT 1)
WITH search AS (SELECT 1 AS image) SELECT image FROM search
WITH search(image) AS (SELECT 1), list(model) AS (SELECT 2) SELECT * FROM (search image), (list AS model)
WITH RECURSIVE convert(using_) AS (SELECT 1 UNION ALL SELECT using_ + 1 FROM convert LIMIT 3) SELECT * FROM convert
SELECT search FROM search UNION SELECT image FROM search UNION ALL SELECT list FROM names
SELECT ALL search image FROM search
SELECT DISTINCT search image FROM search
SELECT max(search, image), count(DISTINCT search) FROM search
SELECT sum(id) OVER (search ORDER BY image) FROM search WINDOW search AS (PARTITION BY text)
SELECT sum(id) OVER search FROM search WINDOW search AS (ORDER BY image)
SELECT CASE search WHEN image THEN text ELSE search END FROM search
SELECT CAST(search AS text) FROM search
SELECT search.image, main.search.text FROM main.search
SELECT * FROM json_each('[1]') search, json_each('[2]') list
VALUES (1), (2)
INSERT INTO search (search, image, text) VALUES (1, 2, 3)
INSERT INTO search (search, image) SELECT list, model FROM names
INSERT INTO list SELECT id FROM search
INSERT INTO search AS list (image) VALUES (1) ON CONFLICT DO NOTHING
INSERT INTO get DEFAULT VALUES
REPLACE INTO copy (id) VALUES (1)
UPDATE search SET search = image, text = (SELECT list FROM names) WHERE (search) = 1
DELETE FROM search WHERE image IN (SELECT search image FROM search)
DELETE FROM model
CREATE TABLE t (search text, list model, print image, get thanosql, convert options (10), copy t)
CREATE TABLE t (search image options, text text DEFAULT (1), CHECK (search LIKE text = 1))
CREATE TEMP TABLE IF NOT EXISTS t (search image, PRIMARY KEY (search))
CREATE TABLE t AS SELECT search image FROM search
CREATE TABLE using_ AS SELECT * FROM (list AS model)
CREATE TABLE "t USING m" (x)
CREATE INDEX i ON search (search, image) WHERE (search) IS NOT NULL
CREATE VIEW search_view (search, image) AS SELECT search, image FROM search
CREATE VIEW list_view AS WITH search AS (SELECT 1 image) SELECT * FROM (search image)
CREATE TRIGGER search AFTER UPDATE OF search, image ON search BEGIN SELECT search image FROM search; END
CREATE TRIGGER list AFTER INSERT ON search WHEN (new.search) BEGIN INSERT INTO list (id) SELECT id FROM (search image); DELETE FROM copy; END;
ALTER TABLE search RENAME COLUMN image TO model
ALTER TABLE search ADD COLUMN list model
EXPLAIN SELECT * FROM (search image)
EXPLAIN QUERY PLAN SELECT search image FROM search
PRAGMA table_info(search)
SELECT $search$, :image, @list, ?5 FROM search
SELECT 한글 search FROM (SELECT 1 AS 한글)
