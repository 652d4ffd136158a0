# bash: subshells, pipes, here-documents, traps, coprocesses, jobs.
set -eu
total=0
for i in $(seq 1 20); do
  total=$((total + $(echo "$i" | { read -r n; echo $((n * 2)); })))
done
echo "sum $total"
declare -A count
while read -r word; do count[$word]=$((${count[$word]:-0} + 1)); done < <(printf 'a\nb\na\nc\na\n')
echo "a ${count[a]} b ${count[b]} c ${count[c]}"
coproc CAT { cat; }
echo through >&"${CAT[1]}"
read -r back <&"${CAT[0]}"
echo "$back"
exec {CAT[1]}>&-
(trap 'echo trapped' USR1; kill -USR1 $BASHPID; :)
sleep 0.1 & wait $!
text=$(printf 'x%.0s' $(seq 1 20000))
echo "${#text} ${text//x/yy}" | wc -c
cat <<END | tr a-z A-Z
here is a document
END
