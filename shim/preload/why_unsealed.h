// Why mseal did not seal, in words, once for each cause: a program may try in a loop. Each returns the -errno
// that the program gets.
#pragma once

namespace libmseal::shim {

long explain_filter_failure(long error);  // of install_deny_filter()
long explain_sharing();
long explain_unknown();
long explain_thread(long error);
long explain_table_full();
long explain_ledger_full();
long explain_many_pieces();
long explain_unreadable(long error);  // of /proc/thread-self
long explain_io_uring();
long explain_not_sealable();
long explain_late_library();

}  // namespace libmseal::shim
