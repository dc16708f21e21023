'use strict';
'require baseclass';
'require npm.uqr as npm';

/* LuCI's uqr is a cut-down copy of the one on npm. What differs: one pixel a module where nothing is said, and a size. */
return baseclass.extend({
	renderSVG: (text, options) => npm.renderSVG(text, { pixelSize: 1, ...options })
		.replace(/viewBox="0 0 (\d+) (\d+)"/, 'width="$1" height="$2"')
});
