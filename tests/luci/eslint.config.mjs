/* LuCI's own rules (its globals, sourceType script, return at the top of a module), and stricter where it only warns.
 * tests/tools/lint runs it from the project's root. */
import js from '@eslint/js';
import globals from 'globals';

/* What LuCI gives every module: `E`, `L`, texts, and what a module names in its 'require' lines at the top. */
const luci = { _: 'readonly', N_: 'readonly', L: 'readonly', E: 'readonly' };

/* The names after 'require' are arguments of the function that LuCI makes of a module: eslint cannot know them. */
const required = {
	rules: {
		names: {
			create: context => ({
				Program(program) {
					for (const { expression } of program.body.filter(one => one.type == 'ExpressionStatement')) {
						const [ , name, as ] = /^require\s+(\S+)(?:\s+as\s+(\S+))?$/.exec(expression.value ?? '') ?? [];
						if (!name)
							continue;
						const variable = as ?? name.replace(/\W/g, '_');
						const scope = context.sourceCode.getScope(program);
						const through = scope.through.filter(reference => reference.identifier.name == variable);
						const inner = scope.childScopes[0]?.through ?? [];
						if (![ ...through, ...inner ].some(reference => reference.identifier.name == variable))
							context.report({ node: expression, message: `${variable} is required and not used` });
						scope.through = scope.through.filter(reference => reference.identifier.name != variable);
					}
				}
			})
		}
	}
};

export default [
	{ ignores: [ '**/node_modules/', 'build/', 'dist/' ] },
	js.configs.recommended,
	{
		files: [ 'luci-app-wgp2p/htdocs/**/*.js', 'tests/luci/standin/*.js' ],
		plugins: { luci: required },
		languageOptions: {
			sourceType: 'script',
			ecmaVersion: 2022,
			globals: { ...globals.browser, ...luci },
			parserOptions: { ecmaFeatures: { globalReturn: true } }
		},
		rules: {
			'luci/names': 'error',
			'strict': 'off',
			'no-control-regex': 'off',
			'no-useless-escape': 'off', // translators' xgettext needs the slash escaped in a set, too
			'no-unused-vars': [ 'error', { args: 'none' } ],
			'preserve-caught-error': 'off',
			'no-restricted-syntax': [ 'error', { selector: 'TemplateLiteral TemplateLiteral',
				message: 'The minifier of LuCI\'s build takes the second ` for the end of the first text.' } ],
			'no-var': 'error',
			'prefer-const': 'error'
		}
	},
	{
		files: [ 'tests/luci/node/*.js' ],
		languageOptions: { sourceType: 'commonjs', ecmaVersion: 2022, globals: globals.node }
	}
];
