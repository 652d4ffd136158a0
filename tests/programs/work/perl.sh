# perl: regular expressions, sorting, forks, pipes, evals.
set -eu
perl -MList::Util=sum -MPOSIX -e '
  my %words; $words{substr(sprintf("%08x", $_ * 2654435761 % 4294967296), 0, 2)}++ for 1 .. 50000;
  print "words ", scalar(keys %words), " ", sum(values %words), "\n";
  my $text = "abc" x 20000; my $n = () = $text =~ /b(?=c)/g; print "regex $n\n";
  my @pids; for my $i (1 .. 20) { my $p = fork; if (!$p) { POSIX::_exit($i) } push @pids, $p }
  my $s = 0; for (@pids) { waitpid($_, 0); $s += $? >> 8 } print "forks $s\n";
  open(my $pipe, "-|", "seq 1 1000") or die; my $t = sum(<$pipe>); print "pipe $t\n";
  my $e = eval "2 ** 10 + sum(1 .. 10)"; print "eval $e\n";
  my @sorted = sort { $a <=> $b } map { ($_ * 7919) % 100003 } 1 .. 100000; print "sort $sorted[50000]\n";'
