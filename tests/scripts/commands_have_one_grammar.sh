# One grammar for all command lines: help, mistakes in one line that names command and option,
# manual pages that mandoc finds nothing to say of, completions that bash and zsh take.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

gives() { # STATUS LINES PATTERN ARGUMENT...  (LINES: how many, or -)
	local want=$1 lines=$2 pattern=$3 status=0
	shift 3
	"$VAS" "$@" >"$dir/out" 2>&1 </dev/null || status=$?
	if [ $status != "$want" ] || ! grep -q -e "$pattern" "$dir/out" ||
		{ [ "$lines" != - ] && [ "$(wc -l <"$dir/out")" != "$lines" ]; }; then
		echo "vas $*: status $status, not $want, or not $lines line(s) with '$pattern':"
		cat "$dir/out"
		exit 1
	fi
}

commands=$("$VAS" help | sed -n 's/^  \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 11 ]
for command in $commands; do
	gives 0 - "^usage: vas $command \[OPTION\]" "$command" --help
	cp "$dir/out" "$dir/help"
	gives 0 - '^Exit status:$' "$command" -h
	cmp "$dir/out" "$dir/help"
	gives 0 - '^  -h, --help ' help "$command"
	cmp "$dir/out" "$dir/help"
	if awk 'length > 80 { print; found = 1 } END { exit !found }' "$dir/help"; then exit 1; fi
	gives 2 1 "^vas $command: there is no option --nonsense; " "$command" --nonsense
	gives 2 1 "^vas $command: there is no option -x; " "$command" -x
	# What each option says of itself: with a value, none is taken; without, one is refused.
	sed -n 's/^  --\([a-z-]*\)\( [^ ]*\)\?  .*/\1 \2/p' "$dir/help" >"$dir/options"
	cat "$dir/options" >>"$dir/all-options"
	while read -r option value; do
		if [ -n "$value" ]; then
			gives 2 1 "^vas $command: --$option needs a value" "$command" "--$option"
			gives 2 1 "^vas $command: --$option needs a value" "$command" "--$option" --
			gives 2 1 "^vas $command: --$option " "$command" "--$option="
		else
			gives 2 1 "^vas $command: --$option is given twice" \
				"$command" "--$option" "--$option"
			gives 2 1 "^vas $command: --$option takes no value" "$command" "--$option=1"
		fi
	done <"$dir/options"
done
[ "$(wc -l <"$dir/all-options")" -ge 50 ]

gives 0 - '^usage: vas COMMAND' -h
gives 0 - '^usage: vas COMMAND' --help
gives 2 - '^usage: vas COMMAND'
gives 0 2 '^vas [0-9]*\.[0-9]*\.[0-9]*, answering as Linux' version
gives 0 2 '^vas [0-9]*\.[0-9]*\.[0-9]*, answering as Linux' --version
gives 2 1 "^vas: there is no command 'chek'; 'vas help' lists them" chek
gives 2 1 "^vas help: there is no command 'chek'" help chek
gives 2 1 '^vas check: --record needs a value: LOG' check --record -- true
gives 2 1 '^vas check: --record is given twice' check --record a --record=b -- true
gives 2 1 '^vas check: no COMMAND is given' check --quiet
gives 2 1 '^vas check: --attach .* takes no COMMAND' check --attach 1 -- true
gives 2 1 '^vas check: --attach and --exit-status exclude each other' check --attach 1 --exit-status
gives 2 1 '^vas check: --exit-status and --attach exclude each other' check --exit-status --attach 1
gives 2 1 '^vas check: --full-paths is about --record' check --full-paths -- true
gives 2 1 '^vas bench: --json and --threads exclude each other' bench --json x --threads 2
gives 2 1 "^vas bench: --only: there is no row 'x'" bench --only x
gives 2 1 "^vas exec: --on takes vas, kernel or both, not 'x'" exec --on=x a
gives 2 1 '^vas exec: --linux is about vas, which --on leaves out' exec --on kernel --linux 6.1 a
gives 2 1 '^vas shell: --linux takes a version from 1.3 to ' shell --linux 99.9
gives 2 1 "^vas fuzz: --jobs takes a number from 1 to 64, not '0'" fuzz --jobs 0
gives 2 1 "^vas fuzz: takes no argument 'x'" fuzz x
gives 2 1 '^vas replay: no LOG is given' replay --json
# Options may stand behind operands, but not behind a program; -- ends them.
printf 'getpid()\n' >"$dir/--odd"
gives 2 1 "^--odd: " exec -- --odd
gives 2 1 '^vas exec: --on needs a value' exec a --on

# The script that does the work of `vas judge` takes the same options.
for help in "scripts/judge" "$VAS judge"; do
	$help --help | sed -n 's/^  \(--[a-z-]*\).*/\1/p'
done | sort | uniq -u >"$dir/alone"
if [ -s "$dir/alone" ]; then
	echo "options of scripts/judge or of cli/judge/judge.c alone:"
	cat "$dir/alone"
	exit 1
fi

# No option is lost beside --json.
log=$(ls "$(dirname "$0")"/../logs/*.log | head -1)
gives 0 - '"picture":"' replay --json --picture "$log"
gives 0 - '"total":true' replay --json --quiet "$log"

# Of one text: the manual pages.
SOURCE_DATE_EPOCH=0 scripts/man "$dir/made" "$VAS"
for command in '' $commands; do
	page=$dir/made/man1/vas${command:+-$command}.1
	grep -q '^\.Dd January 1, 1970$' "$page"
	grep -q "^\.Nm vas${command:+-$command}\$" "$page"
done
for call in $(sed -n '/^typedef/d; s/^[a-z].*\b\(vas_[a-z_]*\)(.*/\1/p' include/vas/*.h); do
	grep -q "^\.Nm $call\b" "$dir/made/man3/$call.3"
done
if command -v mandoc >/dev/null; then mandoc -T lint -W warning "$dir"/made/man[13]/*; fi

# Completions: what a word may be, at a place.
completes() { # WANT WORD...
	local want=$1
	shift
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	_vas
	[ "${COMPREPLY[*]}" = "$want" ] || { echo "$*: ${COMPREPLY[*]}, not $want"; exit 1; }
}
. "$dir/made/bash/vas"
completes 'check' vas che
completes '--record' vas check --rec
completes 'vas kernel both' vas exec --on ''
completes 'kernel' vas exec --linux 6.1 --on k
completes 'replay run' vas help r
completes '--completion' vas help --c
completes '' vas check --record ''
if command -v zsh >/dev/null; then zsh -n "$dir/made/zsh/_vas"; fi

if ! command -v mandoc >/dev/null; then
	echo 'skipped: no mandoc'
	exit 77
fi
