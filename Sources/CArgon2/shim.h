// The reference implementation of argon2 (RFC 9106), and mallopt, which Swift's Glibc module leaves out. Only `Accounts`
// imports this module.
#include <argon2.h>
#ifdef __linux__
#include <malloc.h>
#endif
