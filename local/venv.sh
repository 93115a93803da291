#!/bin/sh
# venv.sh REQUIREMENTS: makes .venv if need be and installs the requirements into it, or says what is missing on this
# machine and which command installs that.
set -eu
cd "$(dirname "$0")/.."

# Lambda's Python first, then the other ones that this project is known to run on.
CANDIDATES=${PYTHON:-"python3.13 python3.12 python3.11 python3 python3.14"}

runs() { # runs PYTHON CODE: whether it is there and the code succeeds
    "$1" -c "$2" >/dev/null 2>&1
}

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
makes_venvs='import ensurepip, venv'

advise() { # advise DEBIAN_PACKAGES
    if command -v apt-get >/dev/null 2>&1; then
        if [ "$(id -u)" = 0 ]; then echo "Install it with: apt-get update && apt-get install -y $1"
        else echo "Install it with: sudo apt-get update && sudo apt-get install -y $1"; fi
    elif [ "$(uname)" = Darwin ]; then
        echo "Install it with: brew install python@3.13   (or from https://www.python.org/downloads/)"
    else
        echo "Install it with your system's package manager, or from https://www.python.org/downloads/"
    fi >&2
    exit 1
}

found='' incomplete=''
for candidate in $CANDIDATES; do
    runs "$candidate" "$new_enough" || continue
    if runs "$candidate" "$makes_venvs"; then found=$candidate; break; fi
    incomplete=${incomplete:-$candidate}
done

if [ -z "$found" ] && [ -n "$incomplete" ]; then
    version=$("$incomplete" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "$incomplete (Python $version) is here, but the module that makes virtual environments is not." >&2
    advise "python$version-venv"
elif [ -z "$found" ]; then
    echo "No Python 3.11 or newer was found (looked for: $CANDIDATES)." >&2
    advise "python3 python3-venv"
fi

# One that was moved, or whose Python is gone or was replaced, is made anew.
if ! runs .venv/bin/python 'import pip'; then
    echo "Making .venv with $("$found" --version) ($(command -v "$found"))"
    rm -rf .venv
    "$found" -m venv .venv
fi
echo "Installing $1 into .venv; the first time takes half a minute or more"
# Compiled on all cores afterwards; pip would do it on one.
.venv/bin/python -m pip install --disable-pip-version-check --no-compile --requirement "$1"
.venv/bin/python -m compileall -qq -j 0 .venv/lib || true
