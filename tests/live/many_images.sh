# Starts 500 images, and says how many descriptors and how much memory (PSS, KiB) the supervisor has before, with
# 100 of them alive, and after; then the CPU time (ticks) that it has used before and after a second of rest.
# The argument is the supervisor's log.
supervisor=$(sed -n 's/.*supervisor \([0-9]*\) serves.*/\1/p' "$1")
look() { echo $(ls /proc/$supervisor/fd | wc -l) $(awk '/^Pss:/ { print $2 }' /proc/$supervisor/smaps_rollup); }
ticks() { read -r _ _ _ _ _ _ _ _ _ _ _ _ _ user system _ < /proc/$supervisor/stat; echo $((user + system)); }

look
# Each says that it runs, and then waits for what never comes.
exec {never}<> <(:) {ready}<> <(:)
for i in $(seq 100); do cat /proc/self/comm - <&$never >&$ready & done
for i in $(seq 100); do read -r <&$ready; done
look
kill $(jobs -p)
wait 2>/dev/null
for i in $(seq 400); do /bin/true; done
# It forgets when it is sure that it has seen everybody, which takes several attempts on a busy machine.
for i in $(seq 3000); do
  (($(ls /proc/$supervisor/fd | wc -l) < 150)) && break
  /bin/true
done
look
until read -r _ _ state _ < /proc/$supervisor/stat && [[ $state == S ]]; do :; done
ticks
read -t 1 -r <&$never  # a second, without another image: what it does in that time is what is asked
ticks
