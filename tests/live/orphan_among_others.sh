# Prints the mappings of a program whose parent has ended, where many programs with as many filters have run before.
# orphan_among_others.sh COMMAND: what starts it; a shell that is to run this file
set -eu
if [ "${1:-}" = parent ]; then
  parent=$$
  (
    while [ -d "/proc/$parent" ]; do :; done
    exec /bin/cat /proc/self/maps
  ) &
  exit
fi
count=0
while [ $count -lt 40 ]; do
  count=$((count + 1))
  sh -c 'sh -c "true; :"; :'
done
sh -c "$1 '$0' parent; :"
