'use strict';
'require baseclass';
'require dom';
'require wgp2p.history as history';

/* The strip of a client's last 24 hours: the better the path, the taller the bar. It has the colour of the text, so it
 * reads the same in every theme, in the dark, in print and by the colour-blind. */

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 20;
const BARS = {
	direct: { height: 20, opacity: 0.8 },
	relay: { height: 11, opacity: 0.55 },
	trying: { height: 6, opacity: 0.8 },
	offline: { height: 2, opacity: 0.8 },
	static: { height: 20, opacity: 0.2 }
};

function svg(name, attributes, children = []) {
	const node = document.createElementNS(SVG, name);

	for (const [ key, value ] of Object.entries(attributes))
		node.setAttribute(key, value);
	children.forEach(child => node.appendChild(child));
	return node;
}

function bar(path, start, length, children) {
	const { height, opacity } = BARS[path];

	return svg('rect', { x: start, y: HEIGHT - height, width: length, height, opacity }, children);
}

function picture(width, style, bars) {
	return svg('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: 'none', fill: 'currentColor',
		style: `display:block; height:${HEIGHT}px; ${style}` }, bars);
}

return baseclass.extend({
	/**
	 * Draws a strip into `node`, or leaves it as it is when nothing has changed.
	 * @param {Node} node an empty element, or one that was given here before
	 * @param {string} states the letters of ubus `history`; may be missing
	 * @param {number} slot a slot's length in seconds
	 * @param {string} path what the client is now
	 */
	update(node, states, slot, path) {
		const sentence = history.sentence(states, path);

		if (node.getAttribute('aria-label') == sentence && node.strip == states)
			return;

		const bars = history.segments(states).map(segment => {
			const title = svg('title', {});

			title.textContent = history.when(segment, slot);
			return bar(segment.path, segment.start, segment.length, [ title ]);
		});
		const line = svg('rect', { x: 0, y: HEIGHT - 1, width: history.SLOTS, height: 1, opacity: 0.25 });

		node.strip = states;
		node.setAttribute('role', 'img');
		node.setAttribute('aria-label', sentence);
		dom.content(node, [ picture(history.SLOTS, 'width:100%; min-width:10em; max-width:24em', [ line, ...bars ]),
			E('small', {}, [ history.summary(states) ]) ]);
	},

	/** One bar of a path, for the legend. */
	sample(path) {
		return E('span', { 'style': 'display:inline-block; vertical-align:bottom', 'aria-hidden': 'true' },
			[ picture(6, 'width:12px', [ bar(path, 0, 6) ]) ]);
	}
});
