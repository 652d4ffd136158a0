module libmseal.example/mseal

go 1.19
