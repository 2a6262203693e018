"""What providers see in their browser, and where files arrive: a file for each kind of page."""
