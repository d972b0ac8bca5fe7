module attndiff

go 1.26
