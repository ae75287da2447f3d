#include "txtsum/app/program.h"

int main(int argc, char** argv) { return txtsum::app::run_program(argc, argv); }
