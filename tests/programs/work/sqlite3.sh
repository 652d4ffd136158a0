# sqlite3: inserts, indexes, queries, mapped I/O, vacuum.
set -eu
sqlite3 db <<'END'
pragma mmap_size=268435456;
create table t(id integer primary key, x integer, s text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
insert into t select i, (i * 7919) % 100003, 'row ' || i from n;
create index tx on t(x);
select count(*), sum(x) from t;
select s from t where x = 4242 order by id limit 1;
delete from t where x % 2;
vacuum;
pragma integrity_check;
select count(*) from t;
END
