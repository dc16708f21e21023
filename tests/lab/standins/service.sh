# shellcheck shell=sh
# What systemctl and service share: one process as a user, with capabilities, its output in a file.

start_as() { # USER "CAPABILITIES" COMMAND...: in the background; CAPABILITIES: net_admin net_raw, or all
	user=$1 words='' limit='-all'
	[ "$2" = all ] || {
		for capability in $2; do
			limit="$limit,+$capability"
		done
		words="setpriv --reuid=$user --regid=$user --clear-groups --no-new-privs --inh-caps=$limit --ambient-caps=$limit
			--bounding-set=$limit"
	}
	shift 2
	# shellcheck disable=SC2086 # words
	setsid $words "$@" >>/run/wgp2p.log 2>&1 </dev/null &
	echo $! >/run/wgp2p.pid
}

stop_it() {
	[ -e /run/wgp2p.pid ] || return 0
	pid=$(cat /run/wgp2p.pid)
	kill "$pid" 2>/dev/null || :
	while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
	rm -f /run/wgp2p.pid
}
