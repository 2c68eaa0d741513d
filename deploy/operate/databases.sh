# How the databases are dumped and put back; read by `backup` and `restore`, after system.sh.
DATABASES=(preau_auth preau_planning preau_billing preau_payment_gateway preau_notifier)

# A command of PostgreSQL in the server's own container, as its administrator; with PGHOST, this machine's own.
postgres() {
    if [[ -n ${PGHOST:-} ]]; then
        "$@"
    else
        "${compose[@]}" exec -T -e PGHOST=127.0.0.1 -e PGUSER=postgres postgresql \
            bash -c 'PGPASSWORD=$(cat /docker-entrypoint-initdb.d/password) exec "$@"' bash "$@"
    fi
}

dump() { postgres pg_dump --format=custom --no-owner --dbname="$1" </dev/null; }

# A database from the dump that comes in, whole or not at all. Its owner has its name.
put_back() {
    postgres pg_restore --clean --if-exists --no-owner --role="$1" --single-transaction --exit-on-error --dbname="$1"
}

# The keys that are drawn once, as files program/setting of a town's SECRETS_FOLDER.
keys() { compose run --rm --no-deps -T secrets keys; }
