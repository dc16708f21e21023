'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { load } = require('./load');

const steps = load('wgp2p/steps');

function link(more = {}) {
	return { name: 'vps', publisher: '10.7.0.1', port: 8080, public_key: 'K', mode: 'events', problem: '', connected_age: 60,
		tunnel_age: 5, refused: null, you: '203.0.113.7:51820', relays: true, ...more };
}

function facts(one, more = {}) {
	return { problem: '', findings: [], status: { uptime: 600, publishers: [], subscribers: [
		{ interface: 'wg0', problem: '', publishers: [ one ], peers: [] } ], ...more } };
}

const device = all => steps.device(all, 'wg0', '10.7.0.1');
const states = found => found.map(step => step.state).join(' ');

test('all is well', () => {
	assert.equal(states(device(facts(link()))), 'ok ok ok ok ok ok');
	assert.match(device(facts(link()))[5].words, /203\.0\.113\.7:51820/);
});

test('the first thing that is not done has the words, the others wait', () => {
	const failed = [
		[ { status: null, problem: 'the wgp2p service does not run', findings: [] }, 0, /does not run/ ],
		[ { ...facts(link()), status: { uptime: 600, publishers: [], subscribers: [] } }, 1, /does not know the interface wg0/ ],
		[ facts(link({ public_key: null, problem: 'x' })), 2, /No running WireGuard peer/ ],
		[ facts(link({ tunnel_age: null, problem: 'x' })), 2, /Nothing has come/ ],
		[ facts(link({ tunnel_age: 600, problem: 'x' })), 2, /for 10 minutes/ ],
		[ facts(link({ mode: 'no token', problem: 'x' })), 3, /no token/ ],
		[ facts(link({ refused: 403, problem: 'x' })), 3, /refuses/ ],
		[ facts(link({ problem: 'it does not answer' })), 4, /it does not answer/ ]
	];

	for (const [ all, index, words ] of failed) {
		const found = device(all);

		assert.equal(states(found), [ ...Array(index).fill('ok'), 'error', ...Array(5 - index).fill('later') ].join(' '));
		assert.match(found[index].words, words);
		assert.notEqual(found[index].advice, '');
	}
	assert.equal(device(failed[2][0])[2].restart, true);
});

test('just after a start nothing is called an error that takes a moment', () => {
	for (const one of [ link({ tunnel_age: null }), link({ problem: 'not connected yet', you: null }) ])
		assert.match(states(device(facts(one, { uptime: 3 }))), /^[^e]*busy( later)*$/);
	assert.match(states(device(facts(link({ mode: 'no token' }), { uptime: 3 }))), /error/);
});

test('the way in from outside is told in the doctor’s words', () => {
	const found = device({ ...facts(link()), findings: [ { level: 'warning', code: 'port-rewritten-upstream', text: 'The port is changed.', advice: 'Forward it.' },
		{ level: 'ok', code: 'port-kept', text: 'kept', advice: '' }, { level: 'error', code: 'clock', text: 'clock', advice: '' } ] })[5];

	assert.match(found.words, /203\.0\.113\.7:51820\. The port is changed\.$/);
	assert.equal(found.advice, 'Forward it.');
});

test('what the daemon really says', () => {
	const read = name => JSON.parse(fs.readFileSync(path.join(__dirname, `../../golden/luci/${name}.json`), 'utf8'));
	const of = name => {
		const { status, doctor } = read(name);

		return states(steps.device({ status, problem: '', findings: doctor.findings }, 'wg0', status.subscribers[0]?.publishers[0]?.publisher));
	};

	assert.equal(of('busy'), 'ok ok ok ok ok ok');
	assert.equal(of('no_token'), 'ok ok ok error later later');
	assert.match(of('server_down'), /^ok ok (error|ok ok (error|busy))/);
});

test('a public server', () => {
	const relay = { state: 'kernel', problem: '', pairs: [] };
	const of = (more, findings = []) => steps.server({ problem: '', findings, status: { uptime: 600, subscribers: [], publishers: [
		{ interface: 'wg0', problem: '', subscribers: 1, peers: [ { name: 'cabin', device: true } ], relay, ...more } ] } }, 'wg0');

	assert.equal(states(of({})), 'ok ok ok ok ok');
	assert.equal(states(of({ peers: [] })), 'ok ok error later later');
	assert.equal(states(of({ subscribers: 0 })), 'ok ok ok busy later');
	assert.equal(states(of({}, [ { code: 'relay-slow', level: 'warning', text: 'slow', advice: 'do' } ])), 'ok ok ok ok error');
});
