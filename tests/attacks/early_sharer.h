// A process that shares the memory of a program since before libmseal starts in it.
#pragma once

bool has_early_sharer();
// Makes a page writable, and answers as the kernel does.
long reprotect_by_sharer(char* page);
