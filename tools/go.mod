module github.com/lorry-controller/lorry-controller/tools

go 1.26.8
