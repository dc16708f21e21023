'use strict';
'require baseclass';
'require ui';
'require uqr';
'require wgp2p.words as words';

/*
 * Nodes for all pages. What others have written becomes text here, and never HTML: in LuCI a plain string as a child is
 * HTML, and one in a list is text.
 */

const LABELS = { direct: 'success', relay: 'warning', trying: 'notice' };
const MESSAGE = 300; /* characters of a sentence */

/* Where the page came without TLS the browser has no clipboard for scripts. */
async function copy(text) {
	if (navigator.clipboard)
		return navigator.clipboard.writeText(text);
	const area = E('textarea', { 'style': 'position:fixed; opacity:0', 'readonly': true });
	area.value = text;
	/* A dialog keeps the focus to itself, so the text must be in it. */
	(document.querySelector('#modal_overlay .modal') ?? document.body).appendChild(area);
	area.select();
	const done = document.execCommand('copy');
	area.remove();
	if (!done)
		throw new Error(_('The browser does not let this page copy. Select the text and copy it by hand.'));
}

return baseclass.extend({
	/**
	 * A node with somebody's text: isolated, so that its direction says nothing of what follows.
	 * @param {string} text
	 * @param {number} [limit=64] characters
	 */
	text(text, limit) {
		return E('bdi', {}, [ words.visible(text, limit) ]);
	},

	/** The coloured word for a path. */
	label(path) {
		return E('span', { 'class': `label ${LABELS[path] ?? ''}`.trim() }, [ words.stateWord(path) ]);
	},

	/** Puts text into a node when it is another one than before: a selection or tooltip on it stays. */
	setText(node, text) {
		if (node.textContent != text)
			node.textContent = text;
	},

	/**
	 * A message in the page.
	 * @param {string} level notice, warning or error: a class of LuCI's
	 * @param {string} text
	 */
	notice(level, text) {
		return E('div', { 'class': `alert-message ${level}` }, [ this.text(text, MESSAGE) ]);
	},

	/** Tells the error of something that the reader has asked for. */
	failure(error) {
		ui.addNotification(null, E('p', {}, [ words.visible(error?.message ?? error, MESSAGE) ]), 'error');
	},

	/**
	 * A table at the end of `node` whose rows are kept: those of the same key keep their nodes, and with them focus,
	 * selection and tooltips.
	 * @param {Node} node
	 * @param {Array<{title: string, update: function(Element, Object)}>} columns `update` brings a cell up to date
	 * @returns {{update: function(Array<{key: string}>)}} shows these rows in this order; without one the table hides
	 */
	table(node, columns) {
		const shown = new Map();
		const titles = columns.some(column => column.title)
			? [ E('tr', { 'class': 'tr table-titles' }, columns.map(column => E('th', { 'class': 'th' }, [ column.title ]))) ] : [];
		const table = E('table', { 'class': 'table' }, titles);

		node.appendChild(table);

		return {
			update(rows) {
				const wanted = new Set(rows.map(row => row.key));
				for (const [ key, line ] of shown)
					if (!wanted.has(key)) {
						line.remove();
						shown.delete(key);
					}
				table.style.display = rows.length ? '' : 'none';
				let before = titles[0] ?? null;
				for (const row of rows) {
					let line = shown.get(row.key);
					if (!line) {
						line = E('tr', { 'class': 'tr' }, columns.map(column =>
							E('td', { 'class': 'td', 'data-title': column.title || null })));
						shown.set(row.key, line);
					}
					/* Only what has another place is moved: moving takes the focus away. */
					const next = before ? before.nextSibling : table.firstChild;
					if (next != line)
						table.insertBefore(line, next);
					before = line;
					columns.forEach((column, index) => column.update(line.children[index], row));
				}
			}
		};
	},

	/**
	 * A QR code, black on white whatever the theme, with the quiet zone that scanners want.
	 * @param {string} text
	 * @throws {Error} the text is too long for one
	 */
	qr(text) {
		const node = E('div', { 'style': 'background:#fff; max-width:26em', 'role': 'img', 'aria-label': _('The profile as a QR code') });
		try {
			node.innerHTML = uqr.renderSVG(text, { pixelSize: 4, border: 4, whiteColor: 'white', blackColor: 'black' });
		}
		catch {
			throw new Error(_('The text is too long for a QR code. Download it instead.'));
		}
		const svg = node.firstElementChild;
		svg.setAttribute('viewBox', `0 0 ${svg.getAttribute('width')} ${svg.getAttribute('height')}`);
		svg.setAttribute('style', 'display:block; width:100%; height:auto');
		return node;
	},

	/** Hands a text over as a file. */
	download(filename, text) {
		const url = URL.createObjectURL(new Blob([ text ], { type: 'text/plain' }));
		const link = E('a', { 'href': url, 'download': filename, 'style': 'display:none' });

		document.body.appendChild(link);
		link.click();
		link.remove();
		/* The browser reads it after the click. */
		window.setTimeout(() => URL.revokeObjectURL(url), 60000);
	},

	/**
	 * A button that copies what `text()` gives at that moment.
	 * @param {function(): string} text
	 */
	copyButton(text) {
		return E('button', { 'class': 'btn cbi-button', 'click': ui.createHandlerFn(this, async event => {
			const button = event.currentTarget;
			await copy(text()).then(() => {
				button.textContent = _('Copied');
			}, this.failure);
		}) }, [ _('Copy') ]);
	}
});
