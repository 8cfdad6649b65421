# SPDX-License-Identifier: BSD-3-Clause
# Other shells and perl: pipes, functions, jobs without a terminal, forking, signals.
. tests/apps/lib.sh

same /bin/dash -c 'f() { echo "$1"; }; for i in 1 2 3; do f $i & done | sort; wait
    trap "echo bye" EXIT'
if command -v perl >/dev/null; then
    same perl -e 'my @l = `seq 3`; print @l; my $p = fork; if (!$p) { exit 7 } waitpid $p, 0;
        print $? >> 8, "\n"; open my $f, "-|", "echo piped" or die; print <$f>; close $f;'
    same perl -e 'pipe my $r, my $w; if (!fork) { close $r; print $w "x" x 100000; exit }
        close $w; local $/; print length <$r>, "\n"; wait'
    same perl -e '$SIG{ALRM} = sub { print "alarm\n" }; alarm 1; select undef, undef, undef, 5'
fi
if command -v fish >/dev/null; then
    extra="--rw $TMPDIR"
    export HOME="$TMPDIR"
    same fish -c 'function f; echo got $argv; end; f 1 2; seq 10 | string match "*1*"
        echo (count (seq 5))'
    same fish -c 'sleep 0.1 &; wait; echo done; false; or echo failed
        for i in a b; echo $i; end | sort -r'
fi
if command -v zsh >/dev/null; then
    same zsh -fc 'a=(3 1 2); print -l ${(o)a}; f() { print $1 | tr a b }; f aaa
        (exit 4); print $?'
    same zsh -fc 'sleep 0.1 & wait $!; print <(echo x) | wc -l; cat =(print temp) | wc -c'
fi
exit $failed
