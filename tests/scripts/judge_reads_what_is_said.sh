# scripts/judge without a machine: which kernels are meant, what one said, and what is missing.
set -euo pipefail
command -v python3 >/dev/null || { echo 'skipped on vas: no python3'; exit 77; }
judge=$(dirname "$0")/../../scripts/judge
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

for wrong in '' 6 6.x '6.1 --arch sparc' '6.1 --arch arm64 --record'; do
	status=0
	# shellcheck disable=SC2086 # lists of words
	"$judge" $wrong >"$dir/out" 2>&1 || status=$?
	[ $status = 2 ] || { echo "'$wrong': status $status"; cat "$dir/out"; exit 1; }
done

: 'what is missing is one line'
mkdir "$dir/bin"
ln -s "$(command -v python3)" "$(command -v env)" "$dir/bin"
status=0
PATH=$dir/bin python3 "$judge" 6.1 >"$dir/out" 2>&1 || status=$?
[ $status = 77 ] && [ "$(wc -l <"$dir/out")" = 1 ] && grep -q 'qemu-system-x86 ' "$dir/out"

python3 - "$judge" <<'END'
import importlib.machinery, importlib.util, sys
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("judge", sys.argv[1])
judge = importlib.util.module_from_spec(importlib.util.spec_from_loader("judge", loader))
loader.exec_module(judge)
assert judge.is_of("6.1.192-1", "6.1") and not judge.is_of("6.18.5-1", "6.1")
assert judge.is_of("7.3.4-1", ""), "the newest, whatever its version"
assert judge.number("7.3~rc7-1") < judge.number("7.3.4-1") < judge.number("7.10.1-1")
assert judge.upstream("7.3~rc7-1~exp1") == "7.3-rc7"
said = """@ version Linux version 6.1.192
ok   /cases/brk/limits.strace
ok   /cases/brk/byte-exact.strace  (skipped on kernel: since Linux 6.7.0)
FAIL /cases/brk/other.strace: line 1: the kernel answers otherwise
  expected = 0
10 calls, 1 differences
@ file fuzz-1-0-0.strace
brk(0) = 0
@ end
@ done
"""
verdict = judge.Verdict("6.1.192", said)
assert verdict.line() == "6.1.192: 1 cases passed, 1 failed, 1 skipped; 10 calls, 1 differences"
assert verdict.done and not verdict.good() and verdict.files[0][0] == "fuzz-1-0-0.strace"
assert "check" not in verdict.line() and "FAILED" in judge.Verdict("1", "@ checked 1\n").line()
assert not judge.Verdict("6.1.192", said.replace("@ done", "")).done, "it stopped half-way"
END
