#!/usr/bin/env bash
# Processes of a script: who may speak, what is refused, where a difference is told of.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

expect() { # STATUS PATTERN SCRIPT-TEXT
	local status=0
	printf '%s\n' "$3" >"$dir/case.strace"
	"$VAS" exec --on vas --maps "$dir/case.strace" >"$dir/out" 2>&1 || status=$?
	if [ $status != "$1" ] || ! grep -q -- "$2" "$dir/out"; then
		printf 'wanted status %s and "%s", got status %s and:\n' "$1" "$2" $status
		cat "$dir/out"
		exit 1
	fi
}

map='mmap(0x10000000, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0) = 0x10000000'
expect 0 '^\[2\] load(0x10000000) = 0x00$' "$map
fork() = 2
[pid     2] load(0x10000000) = 0x00"
expect 0 '^# process 2$' 'fork() = 2'
expect 0 'refused: there is no process 2' '[2] load(0x1000) = ? (refused: any)'
expect 0 'refused: the first process stays' 'exit() = ? (refused: any)'
expect 0 'refused: there is no process 2' 'fork() = 2
[2] exit() = 0
[2] fork() = ? (refused: any)
fork() = 3'
expect 1 'case.strace' 'fork() = 3'
expect 2 'case.strace:1:4:' '[0] fork()'
many=$(for i in $(seq 2 63); do echo "fork() = $i"; done)
expect 0 'at most 63 processes' "$many
fork() = ? (refused: any)"

# the shell's own words are about a process, too
call='mmap(0x10000000, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)'
printf 'fork()\n[2] %s\n%s\n' "$call" \
	'[2] maps' | "$VAS" shell >"$dir/out"
grep -q '^10000000-10001000 r--p' "$dir/out"
