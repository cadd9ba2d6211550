/// <reference types="vite/client" />

/** The file name of the panel's module, beside the loader. Filled in by the build. */
declare const PANEL_FILE: string
