# SPDX-License-Identifier: BSD-3-Clause
# A repository's life: commits, branches, a merge with a conflict, packing, clone, fetch.
# Dates are fixed, so that names of commits are the same wherever it runs.
#   work.sh FOLDER COMMITS
folder=$1 commits=$2
export HOME=$folder GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat PATH=/usr/bin:/bin LC_ALL=C
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_AUTHOR_DATE='2020-01-01T00:00:00Z'
export GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
export GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
rm -rf "$folder" && mkdir -p "$folder" && cd "$folder" || exit 1
git config --global init.defaultBranch main
git config --global gc.autoDetach false
git init -q one && cd one || exit 1
for i in $(seq "$commits"); do
    mkdir -p "d$((i % 7))"
    seq "$i" $((i + 400)) >"d$((i % 7))/f$((i % 40))"
    git add . && git commit -q -m "commit $i" || exit 1
done
git log --format='%h %s' | head -3
git checkout -q -b side HEAD~5
echo side >d1/f1 && git commit -q -a -m side
git checkout -q main
echo main >d1/f1 && git commit -q -a -m main
git merge -q side >/dev/null 2>&1 && echo "no conflict?"
git diff --name-only --diff-filter=U
echo both >d1/f1 && git commit -q -a -m merged
git log --graph --oneline | head -4
git checkout -q -b other HEAD~3 && echo other >new && git add new && git commit -q -m other
git rebase -q main && git log --oneline | head -2
git tag -a v1 -m 'a tag' && git describe
git gc -q && git fsck --full && git count-objects -v | sed -n 's/^in-pack/packed/p'
git clone -q "file://$folder/one" ../two 2>&1 && cd ../two && git status -s -b
git -C ../one commit -q --allow-empty -m later && git fetch -q &&
    git log origin/HEAD --oneline | head -1
git blame -s d1/f1 | head -2
git archive HEAD | sha256sum
git grep -c '^7$' | sort | tail -2
git bundle create -q ../all.bundle --all &&
    git bundle verify -q ../all.bundle && echo "a bundle"
cd / && rm -rf "$folder"
