// Package pages renders what people look at: the status page and the pages of
// Lorries and jobs, with their templates and assets embedded.
//
// A page works without JavaScript and takes everything that it shows as text,
// never as markup. The package must not change anything but the static copy of
// the status page: buttons are forms that go to the API's routes.
package pages
