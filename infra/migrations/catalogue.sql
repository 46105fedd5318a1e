-- What a database is made of, one row an object: its kind, the table that it belongs to (empty: none), its name, and what is told of it.
-- Asked with `search_path = pg_catalog`, so that every name of another schema is told with it, and with the names of our roles.
-- Oids from 16384 on are not PostgreSQL's own (FirstNormalObjectId).
WITH tables AS (
    SELECT c.*, c.relname::text AS name FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
),
ours AS (SELECT r.* FROM pg_roles AS r WHERE r.rolname = ANY (%s))
SELECT 'server', '', 'version', jsonb_build_object('major', current_setting('server_version_num')::integer / 10000)
UNION ALL
SELECT 'table', t.name, '', jsonb_build_object(
    'kind', CASE t.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                           ELSE 'foreign table' END,
    'definition', CASE WHEN t.relkind IN ('v', 'm') THEN pg_get_viewdef(t.oid) END,
    'kept', CASE t.relpersistence WHEN 'p' THEN 'in the write-ahead log' ELSE 'not in the write-ahead log' END,
    'owner', pg_get_userbyid(t.relowner),
    'row security', t.relrowsecurity, 'row security for the owner', t.relforcerowsecurity,
    'replica identity', CASE t.relreplident WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' ELSE 'index' END,
    'partitioned by', pg_get_partkeydef(t.oid), 'bounds', pg_get_expr(t.relpartbound, t.oid),
    'parents', ARRAY(SELECT i.inhparent::regclass::text FROM pg_inherits AS i WHERE i.inhrelid = t.oid ORDER BY 1),
    'granted', ARRAY(SELECT g::text FROM unnest(coalesce(t.relacl, acldefault('r', t.relowner))) AS g ORDER BY 1)
) FROM tables AS t
UNION ALL
SELECT 'child', t.name, i.inhrelid::regclass::text, jsonb_build_object('parent', t.name)
FROM tables AS t INNER JOIN pg_inherits AS i ON i.inhparent = t.oid INNER JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE c.relnamespace <> t.relnamespace
UNION ALL
SELECT 'column', t.name, a.attname::text, jsonb_build_object(
    'place', row_number() OVER (PARTITION BY t.oid ORDER BY a.attnum),
    'type', format_type(a.atttypid, a.atttypmod), 'collation', nullif(a.attcollation, 0)::regcollation::text, 'not null', a.attnotnull,
    'default', pg_get_expr(d.adbin, d.adrelid), 'generated', a.attgenerated::text, 'identity', a.attidentity::text,
    'granted', ARRAY(SELECT g::text FROM unnest(a.attacl) AS g ORDER BY 1)
) FROM tables AS t INNER JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
UNION ALL
SELECT 'constraint', t.name, c.conname::text, jsonb_build_object('definition', pg_get_constraintdef(c.oid), 'validated', c.convalidated)
FROM tables AS t INNER JOIN pg_constraint AS c ON c.conrelid = t.oid
UNION ALL
SELECT 'index', t.name, c.relname::text, jsonb_build_object(
    'definition', pg_get_indexdef(i.indexrelid), 'unique', i.indisunique, 'primary', i.indisprimary, 'immediate', i.indimmediate,
    'in use', i.indisvalid AND i.indisready AND i.indislive
) FROM tables AS t INNER JOIN pg_index AS i ON i.indrelid = t.oid INNER JOIN pg_class AS c ON c.oid = i.indexrelid
UNION ALL
SELECT 'trigger', t.name, g.tgname::text, jsonb_build_object('definition', pg_get_triggerdef(g.oid), 'enabled', g.tgenabled::text)
FROM tables AS t INNER JOIN pg_trigger AS g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
UNION ALL                                             -- those that hold foreign keys are named by their numbers
SELECT 'trigger', t.name, concat(c.conname, ' ', p.proname), jsonb_build_object('enabled', g.tgenabled::text)
FROM tables AS t INNER JOIN pg_trigger AS g ON g.tgrelid = t.oid INNER JOIN pg_proc AS p ON p.oid = g.tgfoid
LEFT JOIN pg_constraint AS c ON c.oid = g.tgconstraint
WHERE g.tgisinternal
UNION ALL
SELECT 'rule', t.name, r.rulename::text, jsonb_build_object('definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled::text)
FROM tables AS t INNER JOIN pg_rewrite AS r ON r.ev_class = t.oid WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT 'row policy', t.name, p.polname::text, jsonb_build_object(
    'for', p.polcmd::text, 'permissive', p.polpermissive, 'roles', ARRAY(SELECT r::regrole::text FROM unnest(p.polroles) AS r ORDER BY 1),
    'shown', pg_get_expr(p.polqual, p.polrelid), 'taken', pg_get_expr(p.polwithcheck, p.polrelid)
) FROM tables AS t INNER JOIN pg_policy AS p ON p.polrelid = t.oid
UNION ALL
SELECT 'published table', regexp_replace(r.prrelid::regclass::text, '^public\.', ''), p.pubname::text, jsonb_build_object(
    'columns', (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute AS a
                WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)), 'where', pg_get_expr(r.prqual, r.prrelid)
) FROM pg_publication_rel AS r INNER JOIN pg_publication AS p ON p.oid = r.prpubid
UNION ALL
SELECT 'publication', '', p.pubname::text, jsonb_build_object(
    'owner', pg_get_userbyid(p.pubowner), 'all tables', p.puballtables, 'by the root', p.pubviaroot,
    'inserts', p.pubinsert, 'updates', p.pubupdate, 'deletes', p.pubdelete, 'truncates', p.pubtruncate,
    'schemas', ARRAY(SELECT n.pnnspid::regnamespace::text FROM pg_publication_namespace AS n WHERE n.pnpubid = p.oid ORDER BY 1)
) FROM pg_publication AS p
UNION ALL
SELECT 'sequence', '', c.relname::text, jsonb_build_object(
    'type', s.seqtypid::regtype::text, 'start', s.seqstart, 'step', s.seqincrement, 'least', s.seqmin, 'most', s.seqmax, 'cache', s.seqcache,
    'cycles', s.seqcycle, 'owner', pg_get_userbyid(c.relowner), 'kept', c.relpersistence::text,
    'granted', ARRAY(SELECT g::text FROM unnest(coalesce(c.relacl, acldefault('s', c.relowner))) AS g ORDER BY 1)
) FROM pg_sequence AS s INNER JOIN pg_class AS c ON c.oid = s.seqrelid WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT
    'function', '', concat(CASE WHEN f.oid >= 16384 AND f.pronamespace = 'pg_catalog'::regnamespace THEN 'pg_catalog.' END,
                           f.proname, '(', pg_get_function_identity_arguments(f.oid), ')'),
    jsonb_build_object(
        'definition', CASE WHEN f.prokind IN ('f', 'p') THEN pg_get_functiondef(f.oid) ELSE f.prosrc END, 'owner', pg_get_userbyid(f.proowner),
        'granted', ARRAY(SELECT g::text FROM unnest(coalesce(f.proacl, acldefault('f', f.proowner))) AS g ORDER BY 1)
    )
FROM pg_proc AS f
WHERE f.pronamespace = 'public'::regnamespace OR f.oid >= 16384 AND f.pronamespace = 'pg_catalog'::regnamespace
UNION ALL
SELECT o.kind, '', o.name, jsonb_build_object('definition', o.definition) FROM (
    SELECT 'operator' AS kind, o.oid, o.oid::regoperator::text AS name, o.oprcode::regproc::text AS definition, o.oprnamespace AS namespace
    FROM pg_operator AS o
    UNION ALL
    SELECT 'type', y.oid, y.oid::regtype::text, y.typtype::text, y.typnamespace FROM pg_type AS y LEFT JOIN pg_class AS c ON c.oid = y.typrelid
    WHERE y.typcategory <> 'A' AND (c.oid IS NULL OR c.relkind = 'c')
    UNION ALL
    SELECT 'operator class', p.oid, concat(p.opcname, ' for ', p.opcintype::regtype), m.amname::text, p.opcnamespace
    FROM pg_opclass AS p INNER JOIN pg_am AS m ON m.oid = p.opcmethod
    UNION ALL
    SELECT 'collation', l.oid, l.collname::text, l.collprovider::text, l.collnamespace FROM pg_collation AS l
    UNION ALL
    SELECT 'conversion', v.oid, v.conname::text, v.conproc::regproc::text, v.connamespace FROM pg_conversion AS v
    UNION ALL
    SELECT 'cast', a.oid, concat(a.castsource::regtype, ' to ', a.casttarget::regtype), a.castfunc::regproc::text, 'pg_catalog'::regnamespace
    FROM pg_cast AS a
) AS o WHERE o.oid >= 16384 AND o.namespace::oid IN ('public'::regnamespace::oid, 'pg_catalog'::regnamespace::oid)
UNION ALL
SELECT 'event trigger', '', e.evtname::text, jsonb_build_object('on', e.evtevent, 'does', e.evtfoid::regproc::text, 'enabled', e.evtenabled::text)
FROM pg_event_trigger AS e
UNION ALL
SELECT 'default grants', '', concat(pg_get_userbyid(d.defaclrole), ' ', d.defaclobjtype, ' ', nullif(d.defaclnamespace, 0)::regnamespace),
    jsonb_build_object('granted', ARRAY(SELECT g::text FROM unnest(d.defaclacl) AS g ORDER BY 1))
FROM pg_default_acl AS d
UNION ALL
SELECT 'schema', '', n.nspname::text, jsonb_build_object(
    'owner', pg_get_userbyid(n.nspowner),
    'granted', ARRAY(SELECT g::text FROM unnest(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS g ORDER BY 1)
) FROM pg_namespace AS n WHERE n.nspname = 'public'
UNION ALL
SELECT 'database', '', '', jsonb_build_object(
    'owner', pg_get_userbyid(d.datdba),
    'granted', ARRAY(SELECT g::text FROM unnest(coalesce(d.datacl, acldefault('d', d.datdba))) AS g ORDER BY 1)
) FROM pg_database AS d WHERE d.datname = current_database()
UNION ALL
SELECT 'role', '', o.rolname::text, jsonb_build_object(
    'superuser', o.rolsuper, 'inherits', o.rolinherit, 'makes roles', o.rolcreaterole, 'makes databases', o.rolcreatedb,
    'logs in', o.rolcanlogin, 'replicates', o.rolreplication, 'bypasses row security', o.rolbypassrls,
    'is also', ARRAY(SELECT m.roleid::regrole::text FROM pg_auth_members AS m WHERE m.member = o.oid ORDER BY 1),
    'so is', ARRAY(SELECT m.member::regrole::text FROM pg_auth_members AS m WHERE m.roleid = o.oid ORDER BY 1)
) FROM ours AS o
UNION ALL                                             -- of the settings, those by which a statement means another thing
SELECT 'setting', '', concat(split_part(s.told, '=', 1), ' of ', coalesce(o.rolname, 'every role')), jsonb_build_object('value', s.told)
FROM pg_db_role_setting AS r CROSS JOIN LATERAL unnest(r.setconfig) AS s (told) LEFT JOIN ours AS o ON o.oid = r.setrole
WHERE (r.setrole = 0 OR o.oid IS NOT NULL)
    AND (r.setdatabase = 0 OR r.setdatabase = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
    AND split_part(s.told, '=', 1) IN ('search_path', 'row_security', 'session_replication_role', 'role', 'session_preload_libraries',
                                       'local_preload_libraries', 'transform_null_equals', 'quote_all_identifiers')
UNION ALL
SELECT 'setting', '', concat(s.name, ' of the server'), jsonb_build_object('value', s.reset_val)
FROM pg_settings AS s WHERE s.name IN ('search_path', 'row_security', 'session_replication_role', 'transform_null_equals')
