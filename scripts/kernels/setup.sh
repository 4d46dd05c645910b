# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What scripts/lab and scripts/notebooks share: the kernel's programs, the Python environment, and what can be wrong with
# them. It is sourced after env.sh; $0 gives the messages their name.

kernels=$METROLAB_ROOT/scripts/kernels
tools=${METROLAB_TOOLS:-$METROLAB_ROOT/tools/bin}
venv=${METROLAB_VENV:-$METROLAB_ROOT/.venv}
requirements=$METROLAB_ROOT/tools/jupyter.txt

# Jupyter finds kernels in the folder kernels of each entry, ours before the user's own.
export JUPYTER_PATH=$METROLAB_ROOT/scripts${JUPYTER_PATH:+:$JUPYTER_PATH}

say() { echo "${0##*/}: $*"; }
die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# module NAME prints the module of a program in tools/bin.
module() {
	case $1 in
	gonb) echo github.com/janpfeifer/gonb ;;
	goimports) echo golang.org/x/tools ;;
	gopls) echo golang.org/x/tools/gopls ;;
	esac
}

# pinned NAME prints the version that tools/go.mod pins.
pinned() { awk -v module="$(module "$1")" '$1 == module && $2 ~ /^v/ { print $2 }' "$METROLAB_ROOT/tools/go.mod"; }

# built NAME prints the version of the program that is there, if one is.
built() {
	go version -m "$tools/$1" 2>/dev/null | awk -v module="$(module "$1")" '$1 == "mod" && $2 == module { print $3 }'
}

set_up_tools() {
	local name missing=()
	for name in gonb goimports gopls; do
		[[ $(built "$name") == "$(pinned "$name")" ]] || missing+=("$name")
	done
	mkdir -p "$tools"
	go -C "$METROLAB_ROOT/tools" build -o "$tools/" ./notebookkernel ||
		die "the kernel does not build, see above; without network, run this once where there is one"
	((${#missing[@]})) || return 0
	say "building ${missing[*]} (a minute or two)"
	go -C "$METROLAB_ROOT/tools" build -o "$tools/" github.com/janpfeifer/gonb golang.org/x/tools/cmd/goimports golang.org/x/tools/gopls ||
		die "the kernel's programs do not build, see above; without network, run this once where there is one"
}

python_works() { python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

# has_packages FILE says whether the environment was last filled from just this list.
has_packages() { cmp -s "$1" "$venv/${1##*/}"; }

# fill FILE installs a list of packages and keeps the list, as the sign that it is all there.
fill() {
	say "installing the Python packages of tools/${1##*/}"
	rm -f "$venv/${1##*/}"
	"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$1" ||
		die "pip could not install tools/${1##*/}, see above; without network, run this once where there is one"
	cp "$1" "$venv/"
}

set_up_python() {
	python_works || die "no python3 of 3.10 or newer, which JupyterLab runs on; install it and run this again"
	"$venv/bin/python" -c '' 2>/dev/null || python3 -m venv --clear "$venv" ||
		die "python3 cannot make an environment in $venv; on Debian and Ubuntu: apt-get install python3-venv"
	has_packages "$requirements" || fill "$requirements"
	quiet_lab
	dress_lab
}

# quiet_lab keeps JupyterLab from asking for news and updates on the network.
quiet_lab() {
	local settings=$venv/share/jupyter/lab/settings
	mkdir -p "$settings"
	cat >"$settings/overrides.json" <<-'EOF'
		{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}
	EOF
}

# dress_lab puts our style sheet where Jupyter looks for one after the user's own folder.
dress_lab() {
	local static
	for static in "$venv"/lib/python3*/site-packages/jupyter_server/static; do
		mkdir -p "$static/custom"
		cp "$kernels/custom.css" "$static/custom/"
	done
}

# set_up makes all ready. A checkout that does not build is no reason to stop: its cells say so, and others work.
set_up() {
	"$METROLAB_ROOT/scripts/setup"
	set_up_tools
	set_up_python
	packages || say "some packages of this checkout do not build, see above; cells that import them will fail"
}

# packages builds what cells may import, so that the first cell takes a second and not a minute.
packages() { go -C "$METROLAB_ROOT" build ./...; }

faults=0
# fault SENTENCE counts and says something that is wrong.
fault() {
	say "$*"
	faults=$((faults + 1))
}

check_go() {
	local version
	command -v go >/dev/null || die "no go command on the PATH; install Go 1.26 or newer from go.dev/dl"
	version=$(go env GOVERSION)
	[[ ! $version =~ ^go([0-9]+)\.([0-9]+) ]] || ((BASH_REMATCH[1] > 1 || BASH_REMATCH[2] >= 26)) ||
		fault "this is $version; install Go 1.26 or newer from go.dev/dl"
}

check_tools() {
	local name
	[[ -x $tools/notebookkernel ]] || fault "$tools/notebookkernel is missing; run ./scripts/lab --setup"
	for name in gonb goimports gopls; do
		if [[ ! -x $tools/$name ]]; then
			fault "$tools/$name is missing; run ./scripts/lab --setup"
		elif [[ $(built "$name") != "$(pinned "$name")" ]]; then
			fault "$tools/$name is $(built "$name") and not $(pinned "$name"); run ./scripts/lab --setup"
		fi
	done
}

check_python() {
	python_works || fault "no python3 of 3.10 or newer on the PATH; install it"
	if ! "$venv/bin/python" -c '' 2>/dev/null; then
		fault "there is no Python environment in $venv; run ./scripts/lab --setup"
	elif ! has_packages "$requirements"; then
		fault "the Python environment in $venv does not hold what tools/jupyter.txt lists; run ./scripts/lab --setup"
	fi
}

check_packages() {
	local log
	log=$(packages 2>&1) || fault "this checkout does not build: $(grep -m1 '\.go:' <<<"$log" || head -n1 <<<"$log")"
}

# check_kernelspec sees to it that Jupyter takes our kernel, and that one installed for the user still has its checkout.
check_kernelspec() {
	local found installed=${JUPYTER_DATA_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/jupyter}/kernels/metrolab/kernel.json launch
	found=$("$venv/bin/jupyter" kernelspec list --json 2>/dev/null |
		"$venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["kernelspecs"]["metrolab"]["resource_dir"])' 2>/dev/null) || true
	[[ $found == "$kernels/metrolab" ]] || fault "Jupyter finds the kernel metrolab in \"$found\" and not in $kernels/metrolab"
	[[ -f $installed ]] || return 0
	launch=$(grep -o '"/[^"]*launch.sh"' "$installed" | tr -d '"')
	[[ -f $launch ]] || fault "$installed starts $launch, which is gone; run ./scripts/lab --install-kernel"
}

check_xla() {
	[[ $(uname -sm) == "Linux x86_64" ]] || return 0
	[[ $(go env CGO_ENABLED) == 1 ]] && command -v "$(go env CC)" >/dev/null ||
		fault "there is no C compiler or cgo is off, so cells run on pure Go; on Debian and Ubuntu: apt-get install gcc libc6-dev"
}

# check changes nothing. What can be seen without a kernel comes first; the notebook then shows that a cell runs.
check() {
	check_go
	check_xla
	check_tools
	check_python
	check_packages
	((faults)) || check_kernelspec
	((faults)) || run_notebook "$METROLAB_ROOT/notebooks/00_check.ipynb" || fault "the notebook did not run, see above"
	((!faults)) || die "$faults thing(s) to put right"
	say "all is well"
}

# runner ARGS... runs the Python program behind scripts/notebooks.
runner() { PYTHONPATH=$METROLAB_ROOT/scripts PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m notebookrunner "$@"; }

run_notebook() { runner run --show "$1"; }
