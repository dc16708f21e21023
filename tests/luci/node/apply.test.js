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
		...more
	};
	const rpc = { declare: ({ object, method }) => async (...words) => {
		note(object, method, ...words.flat());
		const refused = more.refuse?.(method);

		if (refused)
			throw new Error(refused);

		return more.answer ?? { code: 0, stderr: 'added to wg0: phone' };
	} };

	return { said, waiting, apply: load('wgp2p/apply', { uci, rpc }) };
}

/* All that waits for no timer is done. */
const settle = () => new Promise(resolve => setImmediate(resolve));

const CHANGES = [
	{ op: 'add', config: 'network', type: 'wireguard_wg0', values: { description: 'phone', private_key: null } },
	{ op: 'add', config: 'wgp2p', type: 'subscriber', name: 'vps', values: { enabled: '1' } },
	{ op: 'set', config: 'wgp2p', section: 'cfg1', values: { name: 'phone', path: null } },
	{ op: 'remove', config: 'wgp2p', section: 'cfg2' }
];

test('changes are written, saved, and applied with a rollback; then the files are read anew', async t => {
	t.mock.timers.enable({ apis: [ 'setTimeout' ] });

	const { apply, said } = router(), done = apply.apply(CHANGES);

	await settle();
	t.mock.timers.tick(1000);
	await done;
	assert.deepEqual(said, [ 'add network wireguard_wg0', 'set network new1 description phone',
		'add wgp2p subscriber vps', 'set wgp2p vps enabled 1', 'set wgp2p cfg1 name phone', 'unset wgp2p cfg1 path',
		'remove wgp2p cfg2', 'save', 'uci apply 30 true', 'uci confirm', 'unload network firewall wgp2p', 'load network firewall wgp2p' ]);
});

test('what changes nothing is not applied', async () => {
	const { apply, said } = router();

	await apply.apply([]);
	assert.ok(!said.some(one => one.startsWith('uci')));
});

test('what fails is said, and the files are read anew all the same', async () => {
	for (const failing of [ { save: async () => { throw new Error('Permission denied'); } },
		{ refuse: method => method == 'apply' && 'Permission denied' } ]) {
		const { apply, said } = router(failing);

		await assert.rejects(apply.apply(CHANGES), /not in force \(Permission denied\)/);
		assert.equal(said.at(-1), 'load network firewall wgp2p');
	}

	const { apply } = router({ save: () => Promise.reject(6) }); // LuCI rejects with a bare status, too

	await assert.rejects(apply.apply(CHANGES), /not in force \(6\)/);
});

test('it is done when the router has heard that it is still reached, and not before', async t => {
	t.mock.timers.enable({ apis: [ 'setTimeout', 'Date' ] });

	for (const [ deaf, seconds, outcome ] of [ [ 3, 4, '' ], [ 1000, 30, 'The change is not in force (Connection lost)' ] ]) {
		let asked = 0, ended = null;
		const { apply } = router({ refuse: method => method == 'confirm' && asked++ < deaf && 'Connection lost' });

		apply.apply(CHANGES).then(() => ended = '', error => ended = error.message);
		for (let second = 0; second < seconds; second++) {
			await settle();
			assert.equal(ended, null, `after ${second} s`);
			t.mock.timers.tick(1000);
		}
		await settle();
		assert.ok(outcome ? ended.startsWith(outcome) : ended === '', ended);
	}
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

	const refused = router({ refuse: () => 'Method not found' });

	assert.equal(await refused.apply.takeUp(), 'Method not found');
	await assert.rejects(refused.apply.restart('wg0'));
});

test('the files as they are now', async () => {
	const { apply, said } = router();

	assert.deepEqual(await apply.fresh(), { network: [ { '.name': 'network-section' } ],
		firewall: [ { '.name': 'firewall-section' } ], wgp2p: [ { '.name': 'wgp2p-section' } ] });
	assert.deepEqual(said, [ 'unload network firewall wgp2p', 'load network firewall wgp2p' ]);
});
