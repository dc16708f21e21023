'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load');

/* A router in memory: what LuCI's uci and rpc were asked, in order. */
function router(more = {}) {
	const said = [], waiting = {};
	const note = (name, ...rest) => said.push([ name, ...rest ].join(' '));
	const uci = {
		unload: configs => note('unload', ...configs),
		load: async configs => note('load', ...configs),
		sections: config => [ { '.name': `${config}-section` } ],
		add: (config, type, name) => (note('add', config, type, ...(name ? [ name ] : [])), name ?? 'new1'),
		set: (config, section, option, value) => note('set', config, section, option, value),
		unset: (config, section, option) => note('unset', config, section, option),
		remove: (config, section) => note('remove', config, section),
		changes: async () => waiting,
		save: async () => {
			note('save');
			if (said.some(one => /^(add|set|remove)/.test(one)))
				waiting.network = [ [ 'set' ] ];
		},
		apply: async seconds => note('apply', seconds),
		...more
	};
	const rpc = { declare: ({ object, method }) => async (name, params = []) => {
		note(object, method, name, ...params);
		if (more.refuse)
			throw new Error('Method not found');

		return more.answer ?? { code: 0, stderr: 'added to wg0: phone' };
	} };

	return { said, waiting, apply: load('wgp2p/apply', { uci, rpc }) };
}

const CHANGES = [
	{ op: 'add', config: 'network', type: 'wireguard_wg0', values: { description: 'phone', private_key: null } },
	{ op: 'add', config: 'wgp2p', type: 'subscriber', name: 'vps', values: { enabled: '1' } },
	{ op: 'set', config: 'wgp2p', section: 'cfg1', values: { name: 'phone', path: null } },
	{ op: 'remove', config: 'wgp2p', section: 'cfg2' }
];

test('changes are written, saved, and applied with a rollback; then the files are read anew', async () => {
	const { apply, said } = router();

	await apply.apply(CHANGES);
	assert.deepEqual(said, [ 'add network wireguard_wg0', 'set network new1 description phone',
		'add wgp2p subscriber vps', 'set wgp2p vps enabled 1', 'set wgp2p cfg1 name phone', 'unset wgp2p cfg1 path',
		'remove wgp2p cfg2', 'save', 'apply 30', 'unload network firewall wgp2p', 'load network firewall wgp2p' ]);
});

test('what changes nothing is not applied', async () => {
	const { apply, said } = router();

	await apply.apply([]);
	assert.ok(!said.includes('apply 30'));
});

test('what fails is said, and the files are read anew all the same', async () => {
	for (const failing of [ { save: async () => { throw new Error('Permission denied'); } },
		{ apply: () => Promise.reject(new Error('Permission denied')) } ]) {
		const { apply, said } = router(failing);

		await assert.rejects(apply.apply(CHANGES), /not in force \(Permission denied\)/);
		assert.equal(said.at(-1), 'load network firewall wgp2p');
	}

	const { apply } = router({ apply: () => Promise.reject(6) }); // LuCI rejects with a bare status, too

	await assert.rejects(apply.apply(CHANGES), /not in force \(6\)/);
});

test('changes of others are not taken along', async () => {
	const { apply, waiting } = router();

	await apply.refuseUnsaved();
	waiting.wireless = [ [ 'set' ] ];
	waiting.dhcp = [];
	await assert.rejects(apply.refuseUnsaved(), /in wireless\./);
});

test('WireGuard takes up the peers, or it is said why not; an interface is restarted', async () => {
	const { apply, said } = router();

	assert.equal(await apply.takeUp(), '');
	await apply.restart('wg0');
	assert.deepEqual(said, [ 'file exec /usr/bin/wgp2p client apply', 'network.interface down wg0', 'network.interface up wg0' ]);
	assert.equal(await router({ answer: { code: 1, stderr: 'no such interface' } }).apply.takeUp(), 'no such interface');
	assert.match(await router({ answer: { code: 1 } }).apply.takeUp(), /client apply/);

	const refused = router({ refuse: true });

	assert.equal(await refused.apply.takeUp(), 'Method not found');
	await assert.rejects(refused.apply.restart('wg0'));
});

test('the files as they are now', async () => {
	const { apply, said } = router();

	assert.deepEqual(await apply.fresh(), { network: [ { '.name': 'network-section' } ],
		firewall: [ { '.name': 'firewall-section' } ], wgp2p: [ { '.name': 'wgp2p-section' } ] });
	assert.deepEqual(said, [ 'unload network firewall wgp2p', 'load network firewall wgp2p' ]);
});
