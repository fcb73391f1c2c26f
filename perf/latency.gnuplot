# SPDX-License-Identifier: BSD-3-Clause
# perf.sh sets curve (the data) and picture (the SVG to write).
set terminal svg size 720,440 dynamic background "white" font "sans-serif,12"
set output picture
set title "One request by batch size: split ring, 3 descriptors"
set xlabel "requests in a batch"
set ylabel "ns a request (minimum)"
set logscale x 2
set xtics (1, 2, 4, 8, 16, 32, 64)
set xrange [1:64]
set yrange [0:*]
set grid ytics lc rgb "#dddddd"
set border 3
set tics nomirror
set key outside right top
plot for [column = 2:7] curve using 1:column with linespoints pt 7 ps 0.6 lw 2 title columnheader(column)
