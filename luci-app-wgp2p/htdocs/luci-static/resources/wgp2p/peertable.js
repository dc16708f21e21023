'use strict';
'require baseclass';
'require form';
'require uci';
'require wgp2p.draw as draw';
'require wgp2p.fields as fields';
'require wgp2p.options as options';
'require wgp2p.peers as peers';

/* The tab “Peers”: a row for every WireGuard peer of the interfaces, whether wgp2p has a section for it or not. */

const files = () => [ uci.sections('network'), uci.sections('wgp2p') ];
const rowOf = id => peers.rows(...files()).find(row => row.id == id);

/* Makes an option of the table write into the section of its peer, which it may have to make first. */
function bind(option) {
	const change = (id, value) => {
		for (const one of peers.changes(uci.sections('wgp2p'), rowOf(id).key, option.option, value))
			if (one.op == 'add') {
				const section = uci.add('wgp2p', 'peer');

				for (const [ name, text ] of Object.entries(one.values))
					uci.set('wgp2p', section, name, text);
			}
			else if (one.op == 'remove')
				uci.remove('wgp2p', one.section);
			else
				uci.set('wgp2p', one.section, one.option, one.op == 'set' ? one.value : null);
	};

	option.load = id => rowOf(id)?.section?.[option.option] ?? null;
	option.write = change;
	option.remove = id => change(id, null);

	return option;
}

function flag(section, name, title, help) {
	const option = bind(fields.put(section, form.Flag, name, title, help, { default: '0' }));

	option.load = id => options.on(rowOf(id)?.section?.[name], false) ? '1' : '0';

	return option;
}

return baseclass.extend({
	/** Adds the tab to a map that has loaded network and wgp2p. */
	add(map) {
		const has = kind => uci.sections('wgp2p', kind).length > 0;
		const section = map.section(form.TableSection, 'peer', _('Peers'), [
			_('Every WireGuard peer of the interfaces that wgp2p takes care of.'),
			_('“Leave alone”: wgp2p never changes this peer, and as a public server it does not tell anybody where it is.'),
			_('“Path”: automatic is through the public server at once, and directly as soon as that works.'),
			_('“Keepalive”: seconds between two signs of life; empty: as for all.'),
			_('“Remote device”: a router behind another network, which may ask this public server where its clients are. “Its clients”: whom it is told of; none chosen: every peer that is no remote device.')
		].join(' '));

		section.anonymous = true;
		section.cfgsections = () => peers.rows(...files()).map(row => row.id);

		const shown = section.option(form.DummyValue, '_shown', _('Peer'));

		shown.renderWidget = id => E('span', { 'title': rowOf(id).key }, [ draw.text(rowOf(id).shown),
			rowOf(id).interface ? '' : E('em', {}, [ ' ', _('(no WireGuard peer has this key)') ]) ]);
		flag(section, 'exclude', _('Leave alone'));

		const name = bind(fields.put(section, form.Value, 'name', _('Name')));

		if (has('subscriber')) {
			const path = bind(fields.put(section, form.ListValue, 'path', _('Path')));

			for (const [ word, text ] of [ [ 'auto', _('automatic') ], [ 'direct', _('direct only') ], [ 'relay', _('public server only') ] ])
				path.value(word, text);
			path.load = id => rowOf(id)?.section?.path ?? 'auto';
			bind(fields.put(section, form.Value, 'keepalive', _('Keepalive'), '', { ...fields.whole(1, 120), placeholder: '25' }));
		}

		const device = has('publisher') ? flag(section, 'device', _('Remote device')) : null;

		name.validate = (id, value) => peers.nameProblem(value, device?.formvalue(id) == '1', section.cfgsections()
			.filter(other => other != id).map(other => name.formvalue(other) || '').filter(other => other != '')) ?? true;

		if (device) {
			const client = bind(fields.put(section, form.MultiValue, 'client', _('Its clients')));

			for (const row of peers.rows(...files()))
				client.value(row.key, draw.text(row.shown));
			client.load = id => peers.clients(uci.sections('wgp2p'), rowOf(id)?.section);
		}
	}
});
