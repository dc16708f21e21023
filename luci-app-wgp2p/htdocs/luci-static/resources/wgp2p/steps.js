'use strict';
'require baseclass';
'require wgp2p.words as words';

/* Pure: no DOM, no rpc. How far two routers have come towards each other, step by step, of the daemon's status and its
 * doctor. A step is {title, state, words, advice}; `state` is one of
 *   'ok', 'busy' (it may just take a moment), 'error', 'later' (an earlier one comes first).
 * `restart`: to restart the interface may help. */

const TUNNEL_SILENT_S = 180; // no WireGuard session lives longer
const BUSY_S = 30;           // for so long after a start nothing is called an error that takes a moment
const PORT = /^(port-|symmetric$|cgnat$)/;

const ok = words => ({ state: 'ok', words, advice: '' });
const busy = words => ({ state: 'busy', words, advice: '' });
const error = (words, advice) => ({ state: 'error', words, advice });

/* One after another until one is not done; the others wait for it. */
function follow(looks) {
	let held = false;

	return looks.map(([ title, look ]) => {
		const found = held ? { state: 'later', words: '', advice: '' } : look();

		held = held || found.state != 'ok';

		return { title, ...found };
	});
}

function service(status, problem) {
	if (status)
		return ok(_('It runs.'));

	return error(words.sentence(problem), _('If you have just saved, wait some seconds. Else look at Status → System Log for lines of wgp2p.'));
}

function up(status, part, name) {
	if (!part)
		return error(_('The service does not know the interface %s.').format(name),
			_('Save this page once more. Status → System Log has the reason when that does not help.'));
	if (!part.problem)
		return ok(_('%s is up.').format(name));

	return status.uptime < BUSY_S ? busy(words.sentence(part.problem)) : error(words.sentence(part.problem),
		_('Look in Network → Interfaces whether %s exists and is started.').format(name));
}

function tunnel(status, part, link, name) {
	if (link.public_key == null)
		return { ...error(_('No running WireGuard peer of %s has the public server’s address %s.').format(name, link.publisher),
			_('Restart the interface, so that it takes up what was saved. Its connections break for some seconds.')), restart: true };
	if (link.tunnel_age != null && link.tunnel_age <= TUNNEL_SILENT_S)
		return ok(_('The public server answers, the last time %d s ago.').format(link.tunnel_age));
	if (status.uptime < BUSY_S)
		return busy(_('Nothing has come from the public server yet.'));

	/* A running peer keeps its endpoint, whatever is saved: WireGuard may have followed it elsewhere. */
	return { ...error(link.tunnel_age == null ? _('Nothing has come from the public server yet.')
		: _('Nothing has come from the public server for %d minutes.').format(Math.floor(link.tunnel_age / 60)),
	_('Run the command from step 2 on the server. Compare its public key, its address and its port with those in step 3. Its firewall, and that of its provider, must let this UDP port in. If you have changed its address or port here, restart the interface.')), restart: true };
}

function token(link) {
	if (link.mode == 'no token')
		return error(_('This router has no token yet.'),
			_('Paste the token into step 3, and save. On the server “wgp2p token” and this router’s name there show it.'));
	if (link.refused == 401 || link.refused == 403)
		return error(_('The public server refuses this router’s token.'),
			_('Paste the token of this router into step 3 once more, and save. If that does not help, run the command from step 2 on the server again: it must know this router’s public key.'));

	return ok(_('There is one.'));
}

function connected(status, link) {
	if (!link.problem)
		return ok(link.relays ? _('They are connected. Where no direct path is possible the server passes packets on, unread.')
			: _('They are connected.'));
	if (status.uptime < BUSY_S)
		return busy(link.problem);

	return error(link.problem, _('Look whether wgp2p runs on the server (“wgp2p status” there), and whether its firewall lets TCP port %d in from the tunnel.').format(link.port));
}

/* Whether clients find this router where the server sees it: the doctor's words. */
function outside(link, findings) {
	if (!link.you)
		return busy(_('The public server has not told it yet.'));

	const seen = _('The public server sees this router at %s.').format(link.you);
	const found = findings.filter(row => PORT.test(row.code) && row.level != 'ok');

	if (!found.length)
		return ok(seen);

	// Such clients still come through the server. So it is no error here.
	return { state: 'ok', words: `${seen} ${found.map(row => row.text).join(' ')}`,
		advice: found.map(row => row.advice).join(' ') };
}

return baseclass.extend({
	/** Of a remote device.
	 * @param {object} facts status (or null), problem (in words, why there is none), findings (of the doctor)
	 * @param {string} name the interface
	 * @param {string} publisher the public server's address in the tunnel */
	device({ status, problem, findings }, name, publisher) {
		const part = status?.subscribers.find(one => one.interface == name);
		const link = part?.publishers.find(one => one.publisher == publisher) ?? part?.publishers[0];

		return follow([
			[ _('The service wgp2p'), () => service(status, problem) ],
			[ _('The WireGuard interface'), () => up(status, link ? part : null, name) ],
			[ _('The tunnel to the public server'), () => tunnel(status, part, link, name) ],
			[ _('The token'), () => token(link) ],
			[ _('The public server'), () => connected(status, link) ],
			[ _('This router from outside'), () => outside(link, findings) ]
		]);
	},

	/** Of a public server. */
	server({ status, problem, findings }, name) {
		const part = status?.publishers.find(one => one.interface == name);

		return follow([
			[ _('The service wgp2p'), () => service(status, problem) ],
			[ _('The WireGuard interface'), () => up(status, part, name) ],
			[ _('Remote devices'), () => {
				const devices = part.peers.filter(peer => peer.device).map(peer => peer.name);

				return devices.length ? ok(_('Known here: %s.').format(devices.join(', ')))
					: error(_('No router may ask this server yet.'),
						_('Open this page on the other router, and run here the command that it shows.'));
			} ],
			[ _('Connections'), () => part.subscribers ? ok(_('%d routers are connected.').format(part.subscribers))
				: busy(_('No router is connected yet.')) ],
			[ _('The relay'), () => {
				const found = findings.find(row => row.code == 'relay-slow' || row.code == 'relay-off');

				return found ? error(found.text, found.advice) : ok(part.relay.state == 'off' ? _('It is switched off.')
					: _('It passes packets on where no direct path is possible.'));
			} ]
		]);
	}
});
