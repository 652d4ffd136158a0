# coreutils under make -j2: hundreds of short programs.
set -eu
{
  printf 'all: sum\n'
  printf 'sum:'; printf ' part%d' $(seq 1 40); printf '\n\tcat part* | sort -n | uniq -c | sort -rn | head -3 | tee $@ >/dev/null\n'
  for i in $(seq 1 40); do
    printf 'part%d:\n\tseq 1 %d | tac | cut -c1 | sort | uniq > $@.a; cp $@.a $@.b; sha256sum < $@.b | cut -d" " -f1 >/dev/null; mv $@.b $@; rm $@.a; touch $@\n' "$i" $((i * 10))
  done
} > Makefile
make -s -j2
cat sum
ls part* | wc -l
du -s . >/dev/null
find . -name 'part*' -print0 | xargs -0 -P 2 -n 10 wc -l | tail -n 1 | awk '{ print $2 }'
