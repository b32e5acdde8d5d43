# Completion of madcap-check for fish; made by tools/generate_completion.py.
complete -c madcap-check -s e -x -d 'set a variable that the files refer to'
complete -c madcap-check -s j -l json -d 'print one JSON object instead of text'
complete -c madcap-check -s h -l help -d 'print this help'
complete -c madcap-check -s V -l version -d 'print the version'
complete -c madcap-check -f -a '(__fish_complete_suffix .syd-3)'
