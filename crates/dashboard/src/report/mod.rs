//! A store as one page that needs no server.
