# What the commands of this folder have in common; read by them, not run.
# The system meant is the town's when there is a town.env (or TOWN_ENV names one), else the demo town of this folder.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

PROGRAMS=(auth planning billing payment-gateway notifier gateway)
SERVICES=(auth planning billing payment-gateway notifier)
READY_SECONDS=${READY_SECONDS:-180}
TOWN_ENV=${TOWN_ENV:-}
[[ -n $TOWN_ENV || ! -f town.env ]] || TOWN_ENV=town.env
compose=(docker compose)
[[ -z $TOWN_ENV ]] || compose+=(--env-file "$TOWN_ENV")
compose() { "${compose[@]}" "$@" </dev/null; }

say() { printf '%s\n' "$*" >&2; }

stop() {
    say "$(basename "$0"): $*"
    exit 1
}

usage() {
    say "usage: $*"
    exit 2
}

# A line NAME=value of town.env; the second word where it is empty or missing.
setting() {
    local value
    value=$(sed -n "s/^$1=//p" "${TOWN_ENV:-/dev/null}" 2>/dev/null | tail -n 1) || true
    printf '%s' "${value:-${2:-}}"
}

set_setting() {
    if grep -q "^$1=" "$TOWN_ENV"; then
        sed -i "s|^$1=.*|$1=$2|" "$TOWN_ENV"
    else
        printf '%s=%s\n' "$1" "$2" >>"$TOWN_ENV"
    fi
}

needs_town() {
    [[ -n $TOWN_ENV && -f $TOWN_ENV ]] || stop "there is no ${TOWN_ENV:-town.env}: copy deploy/compose/town.env.example and fill it in"
}

has_profile() { [[ ,$(setting COMPOSE_PROFILES), == *,$1,* ]]; }

# One command that changes the system at a time.
alone() {
    exec 9>"/tmp/preau-operate-$(printf '%s' "$PWD" | cksum | cut -d ' ' -f 1).lock"
    flock -n 9 || stop "another command of deploy/operate is at work"
}

running() { compose ps -q "$1"; }

# Wait until a container is healthy; 1 when it ended or did not become so.
healthy() {
    local second state
    for ((second = 0; second < READY_SECONDS; second++)); do
        state=$(docker inspect -f '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$1" 2>/dev/null) || return 1
        case $state in
            "running healthy") return 0 ;;
            exited* | dead* | restarting*) return 1 ;;
        esac
        sleep 1
    done
    return 1
}

# Lay the secrets out anew, as they are given now.
lay_out_secrets() {
    compose run --rm --no-deps -T secrets || stop "the secrets cannot be laid out, nothing was changed"
}

# Replace each replica of a program by a new one, which takes requests before the old one stops: nothing is away.
replace() {
    local program=$1 wanted=$2 old new count
    mapfile -t old < <(compose ps -aq "$program")
    for container in "${old[@]}"; do # what does not run takes no request
        [[ $(docker inspect -f '{{.State.Running}}' "$container") == true ]] || docker rm -f "$container" >/dev/null
    done
    mapfile -t old < <(running "$program")
    count=${#old[@]}
    local -x PREAU_SETTINGS
    PREAU_SETTINGS=$(settings_of "$program")
    while ((wanted > 0)); do
        mapfile -t before < <(running "$program")
        compose up -d --no-deps --no-recreate --no-build --quiet-pull --scale "$program=$((${#before[@]} + 1))" "$program" 2>/dev/null ||
            { say "$program: a new replica cannot be started"; return 1; }
        new=$(running "$program" | grep -vxF -f <(printf '%s\n' "${before[@]:-none}") | head -n 1)
        if [[ -z $new ]] || ! healthy "$new"; then
            say "$program: the new replica does not become ready; the old one goes on. The last lines of its log:"
            docker logs --tail 15 "$new" >&2
            docker rm -f "$new" >/dev/null 2>&1
            return 1
        fi
        if ((count > 0)); then
            let_go "${old[0]}"
            old=("${old[@]:1}")
            count=$((count - 1))
        fi
        wanted=$((wanted - 1))
    done
    for container in "${old[@]}"; do let_go "$container"; done
}

# Stop a replica once those that ask it know another: they look its name up again within ten seconds.
let_go() {
    sleep "${ADDRESSES_SECONDS:-11}"
    docker stop --time 60 "$1" >/dev/null && docker rm "$1" >/dev/null
}

replicas() {
    local name=${1^^}
    setting "${name//-/_}_REPLICAS" 1
}

# A digest of a program's settings as the files have them now. Not of its build and number of replicas, which some versions
# of Compose count into the digest that they keep with a container.
settings_of() {
    PREAU_SETTINGS='' compose config "$1" | awk -v name="$1:" '
        /^[a-z]/ { section = $1 }
        section == "services:" && /^  [^ ]/ { ours = ($1 == name); key = "" }
        /^    [^ ]/ { key = $1 }
        section == "services:" && ours && key !~ /^(build|scale|deploy|depends_on):$/' | sha256sum | cut -d ' ' -f 1
}

# Whether a container was made from other settings than the files have now.
is_changed() {
    local was now
    was=$(docker inspect -f '{{index .Config.Labels "preau.settings"}}' "$2")
    if [[ -n $was && $was != "<no value>" ]]; then
        [[ $was != "$(settings_of "$1")" ]]
        return
    fi
    now=$(compose config --hash "$1" | cut -d ' ' -f 2) # it was started by Compose itself
    [[ $(docker inspect -f '{{index .Config.Labels "com.docker.compose.config-hash"}}' "$2") != "$now" ]]
}

# Whether a program runs on settings that changed, or has read a secret that changed since.
is_stale() {
    is_changed "$1" "$2" && return 0
    local started newest
    started=$(date -d "$(docker inspect -f '{{.State.StartedAt}}' "$2")" +%s)
    newest=$(docker exec "$2" python -ISc 'import os; print(int(max((e.stat().st_mtime for e in os.scandir("/run/secrets")), default=0)))') || return 1
    ((newest > started))
}
