#!/bin/sh
# Installs what is missing of the programs that tests need. Debian's packages are asked, as root; elsewhere it says what
# is missing and what the tests need it for, and the tests are skipped.
missing=""

needs() { # tests, packages, names of programs of which one is enough
    tests=$1 packages=$2
    shift 2
    for program in "$@"; do
        if command -v "$program" >/dev/null; then return; fi
    done
    echo "not on PATH: $1, for the tests of $tests"
    missing="$missing $packages"
}

needs "the report's and the label page" chromium chromium chromium-browser google-chrome
needs "tables in a spreadsheet" libreoffice-calc-nogui soffice
needs "the core on 64-bit Arm" "g++-aarch64-linux-gnu libc6-dev-arm64-cross" aarch64-linux-gnu-g++
if [ -z "$missing" ]; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # the packages are words
    if apt-get update -qq && apt-get install -qq -y --no-remove --no-install-recommends $missing >/dev/null; then
        echo "installed:$missing"
        exit 0
    fi
fi
echo "these tests are skipped; on Debian: apt-get install --no-install-recommends$missing"
