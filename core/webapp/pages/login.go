package pages

// Login renders the login form. next is the page that was asked for, problem
// says why the last try failed, who is logged in now, and needed is false while
// nobody needs a token.
func (p *Pages) Login(next, problem, who string, needed bool) ([]byte, error) {
	data := struct {
		frame
		Next, Problem, Who string
		Needed             bool
	}{p.frame("Log in", "login"), next, problem, who, needed}
	return p.render("login.html", data)
}
