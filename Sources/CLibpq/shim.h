// libpq as Swift sees it, and the two Linux calls by which its sockets are waited for, which Swift's Glibc module leaves
// out. Only `Postgres` imports this module, and a benchmark's load.
#include <libpq-fe.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
